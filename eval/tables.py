"""results.json -> one table, as Markdown, LaTeX (booktabs) and CSV.

A row a method: mean, 95% interval, and the paired difference to the baseline with its interval.
Blocks: the variants, and the rows that know the answer (the true box, or the whole table). Best
bold, second underlined within a block.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from eval.conventions import BY_KEY, MEASURES, Measure

SIGNIFICANT = 0.05
FIELDS = (
    "key", "block", "method", "metric", "higher_is_better", "mean", "low", "high", "n", "missing",
    "difference", "difference_low", "difference_high", "p", "p_holm",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One printed number: `rank` is 1 for the best of its block, 2 for the second, else 0."""

    mean: str
    interval: str
    difference: str
    rank: int


@dataclass(frozen=True)
class Line:
    """A method and its cells, in the order of `MEASURES`."""

    method: str
    cells: tuple[Cell, ...]


def blocks(results: dict[str, Any], *, references: Sequence[str]) -> dict[str, list[Line]]:
    """Title -> lines. `references` are the variants whose boxes come from the truth."""
    variants = {k: v for k, v in results["variants"].items() if k not in references}
    known = {k: v for k, v in results["variants"].items() if k in references}
    groups = {
        "Variants": variants,
        "With the truth or the whole table in hand": {**known, **results["ceilings"]},
    }
    return {title: _lines(rows, results) for title, rows in groups.items() if rows}


def markdown(results: dict[str, Any], *, references: Sequence[str]) -> str:
    """The table alone, wide: mean, interval and difference stand in one cell."""
    head = ["Method", *(f"{_group_prefix(m)}{m.title}{_power(m)} {m.arrow}" for m in MEASURES)]
    lines = [_pipes(head), _pipes(["---", *["---:"] * len(MEASURES)])]
    for title, rows in blocks(results, references=references).items():
        lines.append(_pipes([f"*{title}*", *[""] * len(MEASURES)]))
        lines += [_pipes([row.method, *map(_markdown_cell, row.cells)]) for row in rows]
    return "\n".join(lines) + "\n"


def latex(results: dict[str, Any], *, references: Sequence[str], caption: str) -> str:
    """A `table*` for a two-column page; needs booktabs and graphicx."""
    groups = [(name, len(list(row))) for name, row in groupby(MEASURES, key=lambda m: m.group)]
    rules, at = [], 2
    for _, width in groups:
        rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    spans = [rf"\multicolumn{{{width}}}{{c}}{{{name}}}" for name, width in groups]
    titles = [f"{_tex(m.title)}{_tex_power(m)} ${_tex_arrow(m)}$" for m in MEASURES]
    body = []
    for title, rows in blocks(results, references=references).items():
        body.append(r"\midrule")
        body.append(rf"\multicolumn{{{len(MEASURES) + 1}}}{{l}}{{\emph{{{_tex(title)}}}}} \\")
        body += [_latex_row(row) for row in rows]
    return "\n".join(
        [
            "% needs: \\usepackage{booktabs,graphicx}",
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{_tex(caption)}}}",
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * len(MEASURES)}}}",
            r"\toprule",
            " & ".join(["", *spans]) + r" \\",
            " ".join(rules),
            " & ".join(["Method", *titles]) + r" \\",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table*}",
            "",
        ]
    )


def long_csv(results: dict[str, Any], *, references: Sequence[str]) -> str:
    """A line a method and metric, unscaled; what is missing is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for block in ("variants", "ceilings"):
        for method, row in results[block].items():
            kind = "reference" if method in references else block.removesuffix("s")
            for key, one in row.items():
                paired, tests = _against(results, method, key)
                writer.writerow(
                    {
                        "key": f"{block}.{method}.{key}",
                        "block": kind,
                        "method": method,
                        "metric": key,
                        "higher_is_better": int(BY_KEY[key].higher_is_better),
                        **one,
                        "difference": paired.get("difference"),
                        "difference_low": paired.get("low"),
                        "difference_high": paired.get("high"),
                        "p": paired.get("p"),
                        "p_holm": tests.get("holm_p"),
                    }
                )
    return text.getvalue()


def shown(value: float | None, measure: Measure, *, sign: bool = False) -> str:
    """A value in the table's unit, a dash where there is none, ∞ for a perfect PSNR."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    text = f"{value * 10**measure.power:{'+' if sign else ''}.{measure.decimals}f}"
    return text.replace("-", "−")


def _lines(rows: dict[str, Any], results: dict[str, Any]) -> list[Line]:
    baseline, columns = results["meta"]["baseline"], []
    for measure in MEASURES:
        means = {
            name: _mean(results, name, row[measure.key], measure) for name, row in rows.items()
        }
        ranks = _ranks(means, measure)
        columns.append(
            [
                Cell(
                    shown(means[name], measure),
                    _interval(row[measure.key], measure),
                    _difference(*_against(results, name, measure.key), measure=measure),
                    ranks[name],
                )
                for name, row in rows.items()
            ]
        )
    labels = [f"{name} (baseline)" if name == baseline else name for name in rows]
    return [Line(*parts) for parts in zip(labels, zip(*columns, strict=True), strict=True)]


def _mean(
    results: dict[str, Any], name: str, one: dict[str, Any], measure: Measure
) -> float | None:
    """inf where every background is perfect: PSNR's mean leaves those out."""
    perfect = measure.key == "background_psnr" and results["psnr"][name]["infinite"]
    return math.inf if one["mean"] is None and perfect else one["mean"]


def _interval(one: dict[str, Any], measure: Measure) -> str:
    if one["low"] is None or one["low"] == one["high"]:
        return ""
    return f"[{shown(one['low'], measure)}, {shown(one['high'], measure)}]"


def _difference(paired: dict[str, Any], tests: dict[str, Any], *, measure: Measure) -> str:
    """With its interval; a star where Holm's p is below 0.05."""
    if paired.get("difference") is None:
        return ""
    holm_p = tests.get("holm_p")
    star = "*" if holm_p is not None and holm_p < SIGNIFICANT else ""
    text = f"{shown(paired['difference'], measure, sign=True)}{star}"
    if paired["low"] is None or paired["low"] == paired["high"]:
        return text
    low, high = (shown(paired[key], measure, sign=True) for key in ("low", "high"))
    return f"{text} [{low}, {high}]"


def _against(results: dict[str, Any], method: str, key: str) -> tuple[dict, dict]:
    """The paired difference to the baseline and its tests; empty for the baseline and ceilings."""
    found = []
    for section in ("paired", "tests"):
        of_baseline = results[section][results["meta"]["baseline"]]
        found.append(of_baseline.get(method, {}).get(key, {}))
    return found[0], found[1]


def _ranks(means: dict[str, float | None], measure: Measure) -> dict[str, int]:
    """1 and 2 for the two best values as printed, 0 otherwise; a column of equals has no best."""
    printed = {name: None if v is None else round(v * 10**measure.power, measure.decimals)
               for name, v in means.items()}  # fmt: skip
    order = sorted({v for v in printed.values() if v is not None}, reverse=measure.higher_is_better)
    places = {v: at + 1 for at, v in enumerate(order[:2])} if len(order) > 1 else {}
    return {name: places.get(v, 0) if v is not None else 0 for name, v in printed.items()}


def _markdown_cell(cell: Cell) -> str:
    mean = {1: f"**{cell.mean}**", 2: f"<u>{cell.mean}</u>"}.get(cell.rank, cell.mean)
    small = [cell.interval, f"Δ {cell.difference}" if cell.difference else ""]
    return "<br>".join([mean, *(f"<sub>{text}</sub>" for text in small if text)])


def _latex_row(row: Line) -> str:
    """Means, bold and underlined, with the star of the difference; intervals stand in the CSV."""
    cells = []
    for cell in row.cells:
        form = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
        star = r"$^{*}$" if "*" in cell.difference else ""
        cells.append(form % _tex(cell.mean) + star)
    return " & ".join([_tex(row.method), *cells]) + r" \\"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _group_prefix(measure: Measure) -> str:
    return "" if measure.group in ("Cost", "Region", "Ranking") else f"{measure.group} "


def _power(measure: Measure) -> str:
    digits = str(measure.power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f" ×10{digits}" if measure.power else ""


def _tex_power(measure: Measure) -> str:
    return rf"$_{{\times 10^{{{measure.power}}}}}$" if measure.power else ""


def _tex_arrow(measure: Measure) -> str:
    return r"\uparrow" if measure.higher_is_better else r"\downarrow"


def _tex(text: str) -> str:
    """Escaped; the minus sign and the dash as LaTeX writes them."""
    return "".join(_TEX.get(letter, letter) for letter in text)


_TEX = {
    "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "−": "$-$", "–": "--", "∞": r"$\infty$",
}  # fmt: skip
