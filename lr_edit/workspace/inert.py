"""Anybody's words in our files: what a program would act on is made visible instead.

The one place for it. HTML pages escape by Jinja's own rule (`show_text` is their finalizer), LaTeX
by `eval.report.render.escape_latex`; both show control characters as this does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

# Marks that turn the direction of what follows, and the byte order mark.
_TURNING = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF}
_FORMULA = ("=", "+", "-", "@")
_MARKDOWN = re.compile(r"([\\`*\[\]|#~$]|(?<!\w)_|_(?!\w))")


def show_text(text: str) -> str:
    """The text in one line: control and direction characters as their code points.

    Example:
        >>> show_text("a\\nb\\u202e")
        'a\\\\u000ab\\\\u202e'
    """
    return "".join(map(_show, text))


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers.

    Example:
        >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(2)
        ("'=1+1", '-0.5', 2)
    """
    if not isinstance(value, str):
        return value
    text = show_text(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not _is_number(text) else text


def csv_row(values: Iterable[Any]) -> list[Any]:
    """Every cell of a row."""
    return [csv_cell(value) for value in values]


def markdown_text(text: str) -> str:
    """Words that stay words in Markdown, in a table's cell too.

    Example:
        >>> markdown_text("a|b <i>")
        'a\\\\|b &lt;i&gt;'
    """
    html = show_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", html)


def show_for_html(value: Any) -> Any:
    """Jinja's finalizer: what is printed into a page, before it is escaped."""
    return show_text(value) if type(value) is str else value


def _show(letter: str) -> str:
    if letter.isascii() and letter.isprintable():
        return letter
    hidden = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or ord(letter) in _TURNING
    return f"\\u{ord(letter):04x}" if hidden else letter


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", text) is not None
