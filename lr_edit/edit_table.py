"""A table of edits, one a line, as a person writes it in a spreadsheet -> its rows.

docs/own-photos.md states the format.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from lr_edit.errors import UserError, shorten, suggest_name
from lr_edit.files import read_text

NEEDED, OPTIONAL = ("image", "source", "prompt"), ("mask", "box")
COLUMNS = (*NEEDED, *OPTIONAL)


@dataclass(frozen=True)
class Row:
    """An edit as a person wrote it down: a line of a table, or words on the command line.

    image, mask  files, by their names in the photos' folder
    box          left,top,right,bottom in the photo's pixels; it and the mask may be empty
    at           where it stands, for what is said of it
    """

    image: str
    source: str
    prompt: str
    mask: str = ""
    box: str = ""
    at: str = ""


def read_rows(table: Path) -> tuple[list[Row], list[str]]:
    """The rows of a table, and what is wrong with the others, a sentence each.

    UserError where it is no table of edits at all.
    """
    text = read_text(table)
    first = text.split("\n", 1)[0]
    comma = max(",;\t", key=first.count)  # some spreadsheets write the other two
    lines = csv.reader(StringIO(text, newline=""), delimiter=comma, strict=True)
    rows, problems, columns = list[Row](), list[str](), list[str]()
    try:
        for cells in lines:
            at = f"line {lines.line_num}"
            if not columns:
                columns = _columns(table, [cell.strip() for cell in cells])
            elif len(cells) != len(columns) and any(cells):
                problems.append(
                    f"{at}: {len(cells)} cells under {len(columns)} columns: put a cell that holds "
                    f"{comma!r} between double quotes"
                )
            elif any(cells):
                named = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
                rows.append(Row(**named, at=at))
    except csv.Error as error:
        problems.append(f"line {lines.line_num}: {error}: close its quotes, doubled inside a cell")
    if not columns:
        what = f"is no CSV ({problems[0]})" if problems else "is empty"
        raise UserError(f"{table} {what}: its first line names the columns {', '.join(COLUMNS)}")
    if not rows and not problems:
        raise UserError(f"{table} has no line below its first: write an edit a line")
    return rows, problems


def _columns(table: Path, columns: list[str]) -> list[str]:
    for name in columns:
        if name not in COLUMNS:
            raise UserError(f"{table}: unknown column {shorten(name)}{suggest_name(name, COLUMNS)}")
        if columns.count(name) > 1:
            raise UserError(f"{table}: column {name!r} is given twice")
    if lacking := [name for name in NEEDED if name not in columns]:
        raise UserError(
            f"{table} lacks the column {', '.join(lacking)}: its first line names "
            f"{', '.join(NEEDED)}, and {' or '.join(OPTIONAL)} where places are known"
        )
    return columns
