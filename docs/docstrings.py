"""How the reference reads docstrings: examples as code, and columns of fields as lists."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_FIELD = re.compile(r"^(\w+) {2,}(?=\S)")  # `boxes      (points, sizes, 4) int: ...`


class HouseStyle(Extension):
    """Applied to every object of the packages."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rewrites the docstring, where there is one."""
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = "\n\n".join(map(as_list, text.split("\n\n")))


def as_list(paragraph: str) -> str:
    """A paragraph of fields in columns as a list; any other as it is."""
    lines = paragraph.split("\n")
    if not _FIELD.match(lines[0]):
        return paragraph
    return "\n".join(
        _FIELD.sub(r"- `\1`: ", line) if _FIELD.match(line) else f"    {line.strip()}"
        for line in lines
    )
