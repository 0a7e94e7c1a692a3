"""A table of results, and its three forms: Markdown and CSV here, LaTeX in latex.py.

A cell holds raw numbers and the place in results.json that they come from; columns say how they are
printed. Blocks part rows that may not be compared by eye. Best bold, second underlined within one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.metrics.registry import Measure
from lr_edit.workspace.inert import markdown_text

SIGNIFICANT = 0.05
FIELDS = (
    "table", "block", "row", "metric", "category", "key", "higher_is_better", "mean", "low", "high",
    "n", "missing", "difference", "difference_low", "difference_high", "wilcoxon_p", "holm_p",
    "win_rate", "sign_p", "effect", "pairs",
)  # fmt: skip
SIMPLE = ("Cost", "Region", "Ranking", "")  # groups whose titles need no prefix


@dataclass(frozen=True)
class Column:
    """How a column is headed and printed; `category` where it is about some tasks alone; a
    probability is never printed as zero."""

    measure: Measure
    group: str
    category: str = ""
    probability: bool = False

    @property
    def head(self) -> str:
        """In words: group, title, factor, arrow."""
        one = self.measure
        powers = str(one.power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        factor = f"×10{powers}" if one.power else ""
        group = "" if self.group in SIMPLE else self.group
        return " ".join(part for part in (group, one.title, factor, one.arrow) if part)


@dataclass(frozen=True)
class Cell:
    """One number: `one` is {mean, low, high, n, ...}, `paired` its difference and tests."""

    key: str
    one: Mapping[str, Any]
    paired: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A method and its cells, in the order of the table's columns and, after them, of `more`."""

    row: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """`more` are columns for the CSV alone; blocks map a title ("" for none) to lines."""

    letter: str
    title: str
    note: str
    columns: tuple[Column, ...]
    blocks: Mapping[str, Sequence[Line]]
    more: tuple[Column, ...] = ()

    @property
    def heading(self) -> str:
        """Letter and title."""
        return f"{self.letter}. {self.title}" if self.letter else self.title


@dataclass(frozen=True)
class Printed:
    """A cell as text: `rank` is 1 for the best of its block, 2 for the second, else 0."""

    mean: str
    interval: str
    difference: str
    rank: int
    key: str


def format_table(table: Table) -> dict[str, list[tuple[str, list[Printed]]]]:
    """Block -> (row, its printed cells)."""
    return {title: _block(table, lines) for title, lines in table.blocks.items()}


def _block(table: Table, lines: Sequence[Line]) -> list[tuple[str, list[Printed]]]:
    ranks = [
        _ranks([line.cells[at].one["mean"] for line in lines], column.measure)
        for at, column in enumerate(table.columns)
    ]
    return [
        (
            line.row,
            [
                Printed(
                    _mean(cell.one["mean"], column),
                    interval(cell.one, column.measure),
                    _difference(cell.paired, column.measure),
                    ranks[at][number],
                    cell.key,
                )
                for at, (cell, column) in enumerate(zip(line.cells, table.columns, strict=False))
            ],
        )
        for number, line in enumerate(lines)
    ]


def markdown(table: Table) -> str:
    """The table alone: mean, interval and difference stand in one cell."""
    width = len(table.columns)
    lines = [
        join_cells(["Method", *(c.head for c in table.columns)]),
        join_cells(["---", *["---:"] * width]),
    ]
    for title, rows in format_table(table).items():
        if title:
            lines.append(join_cells([f"*{title}*", *[""] * width]))
        lines += [
            join_cells([markdown_text(row), *map(_markdown_cell, cells)]) for row, cells in rows
        ]
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Printed) -> str:
    mean = {1: f"**{cell.mean}**", 2: f"<u>{cell.mean}</u>"}.get(cell.rank, cell.mean)
    small = [cell.interval, f"Δ {cell.difference}" if cell.difference else ""]
    return "<br>".join([mean, *(f"<sub>{text}</sub>" for text in small if text)])


def long_csv(tables: Sequence[Table]) -> str:
    """A line a table, row and column, unscaled; what is missing is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for table in tables:
        for block, lines in table.blocks.items():
            for line in lines:
                for column, cell in zip((*table.columns, *table.more), line.cells, strict=True):
                    paired = cell.paired
                    writer.writerow(
                        {
                            **cell.one,
                            **{name: paired.get(name) for name in ("holm_p", "win_rate", "effect")},
                            "table": table.letter or table.title,
                            "block": block,
                            "row": line.row,
                            "metric": column.measure.key,
                            "category": column.category,
                            "key": cell.key,
                            "higher_is_better": column.measure.higher_is_better,
                            "difference": paired.get("difference"),
                            "difference_low": paired.get("low"),
                            "difference_high": paired.get("high"),
                            "wilcoxon_p": paired.get("p"),
                            "sign_p": paired.get("sign_p"),
                            "pairs": paired.get("n"),
                        }
                    )
    return text.getvalue()


def format_value(value: float | None, measure: Measure, *, sign: bool = False) -> str:
    """A value in the table's unit, a dash where there is none, ∞ for a perfect PSNR."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    text = f"{value * 10**measure.power:{'+' if sign else ''}.{measure.decimals}f}"
    return text.replace("-", "−")


def interval(one: Mapping[str, Any], measure: Measure, *, sign: bool = False) -> str:
    """Nothing where there is none, or one without width."""
    low, high = one.get("low"), one.get("high")
    if low is None or high is None or low == high:
        return ""
    return f"[{format_value(low, measure, sign=sign)}, {format_value(high, measure, sign=sign)}]"


def add_stars(paired: Mapping[str, Any]) -> bool:
    """Whether Holm's p is below 0.05."""
    holm_p = paired.get("holm_p")
    return holm_p is not None and holm_p < SIGNIFICANT


def join_cells(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def _mean(value: float | None, column: Column) -> str:
    least = 10.0**-column.measure.decimals
    if column.probability and value is not None and value < least:
        return f"<{least:.{column.measure.decimals}f}"
    return format_value(value, column.measure)


def _difference(paired: Mapping[str, Any], measure: Measure) -> str:
    """With its interval; a star where Holm's p is below 0.05."""
    if paired.get("difference") is None:
        return ""
    text = format_value(paired["difference"], measure, sign=True) + (
        "*" if add_stars(paired) else ""
    )
    return f"{text} {interval(paired, measure, sign=True)}".rstrip()


def _ranks(means: Sequence[float | None], measure: Measure) -> list[int]:
    """1 and 2 for the two best values as printed, 0 otherwise; a column of equals has no best."""
    if measure.higher_is_better is None:
        return [0] * len(means)
    rounded = [None if v is None else round(v * 10**measure.power, measure.decimals)
               for v in means]  # fmt: skip
    known = {v for v in rounded if v is not None}
    order = sorted(known, reverse=measure.higher_is_better)
    places = {v: at + 1 for at, v in enumerate(order[:2])} if len(order) > 1 else {}
    return [0 if v is None else places.get(v, 0) for v in rounded]
