"""templates/ -> pages: the escapes of Markdown, LaTeX and HTML, each in one place.

What a template prints is escaped for its language; `markup()` marks what is markup already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from eval.report.tables import Table
from lr_edit.workspace.inert import markdown_text, show_for_html, show_text

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "∞": r"$\infty$", "×": r"$\times$", "±": r"$\pm$", "Δ": r"$\Delta$", "π": r"$\pi$",
    "−": "$-$", "–": "--", "’": "'", "“": "``", "”": "''", "≤": r"$\le$", "≥": r"$\ge$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\to$", "<": r"$<$", ">": r"$>$",
}  # fmt: skip
INTERVAL = re.compile(r"\\\[([-+−–∞\d., ]+)\\\]")  # numbers in brackets are no link


def escape_latex(text: str) -> Markup:
    """Plain text as LaTeX; its letters must be ASCII or known."""
    return Markup("".join(LATEX.get(letter, letter) for letter in show_text(text)))


def escape_markdown(text: str) -> Markup:
    """Plain text as Markdown that may stand in a table."""
    return Markup(INTERVAL.sub(r"[\1]", markdown_text(text)))


def render(template: str, **words: Any) -> str:
    """A page from templates/; the name's ending says its language. ValueError for words that are
    not what the page needs."""
    language = template.removesuffix(".j2").rpartition(".")[2]
    try:
        return _ENVIRONMENTS[language].get_template(template).render(**words)
    except UndefinedError as error:  # also where making a table failed
        raise ValueError(str(error)) from error


def render_markdown(table: Table) -> str:
    """A table alone, as Markdown."""
    return render("table.md.j2", table=table)


def render_latex(tables: Sequence[Table]) -> str:
    """All tables, to be `\\input` in a paper: booktabs, `table*`, shrunk where they are wider."""
    return render("tables.tex.j2", tables=tables)


def _environment(escape: Callable[[str], Markup] | None, **delimiters: str) -> Environment:
    def finalize(value: Any) -> Any:
        if escape is None:
            return show_for_html(value)
        return value if isinstance(value, Markup) else escape(str(value))

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # macros then give markup, which is escaped once
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **delimiters,  # type: ignore[arg-type]
    )
    made.globals["markup"] = Markup
    return made


_ENVIRONMENTS = {
    "html": _environment(None),
    "md": _environment(escape_markdown),
    "tex": _environment(
        escape_latex, block_start_string="<%", block_end_string="%>", variable_start_string="<<",
        variable_end_string=">>", comment_start_string="<#", comment_end_string="#>",
    ),
}  # fmt: skip
