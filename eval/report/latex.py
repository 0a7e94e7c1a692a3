"""Tables -> LaTeX as papers set it: booktabs, header rows by group, units as subscripts.

Every table is a `table*` for a two-column page that is shrunk where it is wider. Up to `ROOMY`
columns a cell shows its paired difference with the interval; wider tables show means alone, and the
stars of the differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from eval.report.tables import Column, Printed, Table, format_table
from lr_edit.workspace.inert import show_text

ROOMY = 8
HEAD = r"""% Written by `lr-edit stage report`. Needs: \usepackage{booktabs,graphicx}
\providecommand{\meandiff}[2]{%
  \begin{tabular}[t]{@{}r@{}}#1\\[-0.6ex]{\tiny #2}\end{tabular}}
"""
_LETTERS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "∞": r"$\infty$", "×": r"$\times$", "±": r"$\pm$", "Δ": r"$\Delta$", "π": r"$\pi$",
    "−": "$-$", "–": "--", "’": "'", "“": "``", "”": "''", "≤": r"$\le$", "≥": r"$\ge$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "<": r"$<$", ">": r"$>$",
}  # fmt: skip


def document(tables: Sequence[Table]) -> str:
    """All tables, to be `\\input` in a paper."""
    return "\n".join([HEAD, *map(latex, tables)])


def latex(table: Table) -> str:
    """One `table*`."""
    width = len(table.columns)
    body = []
    for title, rows in format_table(table).items():
        body.append(r"\midrule")
        if title:
            body.append(rf"\multicolumn{{{width + 1}}}{{l}}{{\emph{{{tex(title)}}}}} \\")
        body += [_row(row, cells, roomy=width <= ROOMY) for row, cells in rows]
    spans, rules = _groups(table.columns)
    title = f"{table.letter}. {table.title}" if table.letter else table.title
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{\textbf{{{tex(title)}.}} {tex(table.note)}}}\vspace{{4pt}}",
            rf"\label{{tab:{_label(table)}}}",
            r"\resizebox{\ifdim\width>\textwidth \textwidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * width}}}",
            r"\toprule",
            *([" & ".join(["", *spans]) + r" \\", " ".join(rules)] if rules else []),
            " & ".join(["Method", *map(_head, table.columns)]) + r" \\",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table*}",
            "",
        ]
    )


def tex(text: str) -> str:
    """Plain text as LaTeX; its letters must be ASCII or known."""
    return "".join(_LETTERS.get(letter, letter) for letter in show_text(text))


def _groups(columns: Sequence[Column]) -> tuple[list[str], list[str]]:
    """The row of group names and the rules below it; no rules where no group has a name."""
    spans, rules, at = [], [], 2
    for name, members in groupby(columns, key=lambda column: column.group):
        width = len(list(members))
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{tex(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    return spans, rules


def _head(column: Column) -> str:
    one = column.measure
    power = rf"$_{{\times 10^{{{one.power}}}}}$" if one.power else ""
    arrow = f" {tex(one.arrow)}" if one.arrow else ""
    return rf"\multicolumn{{1}}{{c}}{{{tex(one.title)}{power}{arrow}}}"


def _row(name: str, cells: Sequence[Printed], *, roomy: bool) -> str:
    return " & ".join([tex(name), *(_cell(cell, roomy=roomy) for cell in cells)]) + r" \\"


def _cell(cell: Printed, *, roomy: bool) -> str:
    form = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
    mean = form % tex(cell.mean)
    if roomy and (cell.difference or cell.interval):
        small = f"Δ {cell.difference}" if cell.difference else cell.interval
        return rf"\meandiff{{{mean}}}{{{tex(small)}}}"
    return mean + (r"$^{*}$" if "*" in cell.difference else "")


def _label(table: Table) -> str:
    return (table.letter or table.title).lower().replace(" ", "-")
