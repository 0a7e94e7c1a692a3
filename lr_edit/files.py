"""The one reader and the one writer of files: whole or not at all, UTF-8 by name, and one sentence
for whatever a disk or a text can do wrong.

Writing goes to a temporary name that is then renamed: a killed run leaves whole files only. What
lies under it may be a text, JSON, YAML or CSV; arrays and pictures are read and written in
`workspace`. A key, a column or a row that could be read in two ways is refused.
"""

from __future__ import annotations

import csv
import errno
import itertools
import json
import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from unicodedata import category

import yaml

from lr_edit.errors import Unfinished, UserError, shorten
from lr_edit.yaml_text import GivenTwice, load_yaml

# The machine's to mend, not the user's: what was asked for is right.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE}
_count = itertools.count()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it if the block ends well.

    Raises UserError for a place that cannot be written, Unfinished where the disk is full.
    """
    check_path(path)
    # Cut, since a name may be as long as a file's can be.
    part = path.with_name(f".{path.name[:40]}.{os.getpid()}.{next(_count)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:  # why it cannot be removed is why it could not be written, which is said
        return


def write_error(path: Path, error: OSError) -> Exception:
    """What is said where a file cannot be written: the user's to mend, or the disk's."""
    if error.errno in _OF_THE_DISK:
        return Unfinished(
            f"{shorten(path)} cannot be written ({_reason(error)}): what was finished is kept; "
            "make room and run again"
        )
    return UserError(
        f"{shorten(path)} cannot be written ({_reason(error)}): name a place that can be"
    )


def check_path(path: Path) -> None:
    """UserError for a path that no disk can have."""
    try:
        known = path.name and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        known = False
    if not known:
        raise UserError(f"{shorten(path)} is no file's name: choose another")


def is_plain_name(name: str) -> bool:
    """Whether a name can be a file's or a folder's everywhere, and leads nowhere else."""
    fits = bool(name) and len(name.encode(errors="replace")) <= 200 and not name.startswith(".")
    # Marks: an accent that is written on its own.
    return fits and all(c.isalnum() or c in "-_." or category(c)[0] == "M" for c in name)


def empty_folder(folder: Path) -> Path:
    """The folder, with nothing of an earlier run in it; a link is replaced, never followed."""
    try:
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder


def check_file(path: Path, what: str, *, cure: str) -> None:
    """UserError unless `path` is a file; `what` is what the sentence calls it."""
    check_path(path)
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{what} is missing: {cure}") from None
    except OSError as error:
        raise UserError(f"{what} cannot be read ({_reason(error)}): {cure}") from None
    if not regular:  # a pipe or a device might never end
        raise UserError(f"{what} is no file: {cure}")


def read_bytes(path: Path, *, cure: str = "check the name") -> bytes:
    """A file's bytes; UserError, with the `cure`, for whatever is no readable file."""
    check_file(path, shorten(path), cure=cure)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{shorten(path)} cannot be read ({_reason(error)}): {cure}") from None


def read_text(path: Path, *, cure: str = "check the name") -> str:
    """A text in UTF-8, with or without a mark at its start; UserError for any other encoding."""
    data = read_bytes(path, cure=cure)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{shorten(path)} is UTF-16: save it as UTF-8")
    if b"\0" in data:  # of UTF-16 without its mark, or of no text at all
        raise UserError(f"{shorten(path)} holds a zero byte: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"{shorten(path)} is not UTF-8 (byte 0x{data[error.start]:02x} in line {line}): "
            "save it as UTF-8"
        ) from None


def write_text(path: Path, text: str) -> None:
    """A text in UTF-8, its line ends as they are; half a character of a pair becomes '?'."""
    with atomic_write(path) as part:
        part.write_bytes(text.encode("utf-8", errors="replace"))


def write_json(path: Path, value: Any, *, compact: bool = False) -> None:
    """Sorted keys, one newline at the end: equal values are equal files. `compact` is for what no
    person reads: one line. ValueError for NaN."""
    form: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
    write_text(path, json.dumps(value, sort_keys=True, allow_nan=False, **form) + "\n")


def read_json(path: Path, *, cure: str = "run the stage that makes it (dvc repro)") -> Any:
    """UserError if missing, not JSON, or a key is given twice."""
    return parse_json(read_text(path, cure=cure), path)


def parse_json(text: str, path: Path) -> Any:
    """The same from a text; `path` is what errors name."""

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            key = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise UserError(f"{shorten(path)}{_where(text)}: key {shorten(key)} is given twice")
        return found

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    try:
        return json.loads(text, object_pairs_hook=table, parse_constant=constant)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise UserError(f"{shorten(path)} is not valid JSON ({shorten(error)})") from None


def _where(text: str) -> str:
    """The line of the first key that is given twice: JSON is YAML, whose reader knows lines."""
    try:
        load_yaml(text)
    except GivenTwice as error:
        return f", line {error.line}"
    except (yaml.YAMLError, ValueError, RecursionError):  # tabs, say: the key is named anyhow
        return ""
    return ""


def read_yaml(path: Path, *, cure: str = "run `dvc repro` in a checkout first") -> dict[str, Any]:
    """UserError if missing, not a YAML mapping, or a key is given twice."""
    return parse_yaml(read_text(path, cure=cure), path)


def parse_yaml(text: str, path: Path) -> dict[str, Any]:
    """The same from a text; `path` is what errors name."""
    try:
        value = load_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{shorten(path)} is not valid YAML{at}: {said}") from None
    except (ValueError, RecursionError, TypeError) as error:  # a date of month 13, endless nesting
        raise UserError(f"{shorten(path)} is not valid YAML ({shorten(error)})") from None
    if not isinstance(value, dict):
        raise UserError(f"{shorten(path)} must hold a mapping")
    return value


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """A table with a header: its columns, and each row with its line number.

    Raises UserError for a column that is given twice, a row with more or fewer cells than columns,
    and a cell that runs over the end of its line: an unquoted comma or an open quote would
    otherwise shift or swallow what follows.
    """
    text = read_text(path)
    rows = csv.reader(StringIO(text, newline=""), strict=True)
    table: list[tuple[int, list[str]]] = []
    try:
        before = 0
        for row in rows:
            if rows.line_num > before + 1:
                raise UserError(f"{shorten(path)}, {_open_quote(row, table, before + 1)}")
            before = rows.line_num
            table += [(before, row)] if row else []
    except csv.Error as error:
        cure = "shorten the cell" if "limit" in str(error) else "double those inside a cell"
        said = f"{shorten(path)}, line {before + 1}"
        raise UserError(f"{said}: {error}; close its quotes, and {cure}") from None
    if not table:
        raise UserError(f"{shorten(path)} is empty: its first line names the columns")
    columns = table[0][1]
    if len(columns) == 1 and (other := re.search("[;\t|]", columns[0])):
        raise UserError(
            f"{shorten(path)}: its columns are parted by {other[0]!r}: part them by commas"
        )
    if twice := [name for name, n in Counter(columns).items() if n > 1]:
        raise UserError(f"{shorten(path)}: column {shorten(twice[0])} is given twice")
    for line, row in table[1:]:
        if len(row) != len(columns):
            raise UserError(f"{shorten(path)}, line {line}: {_misfit(row, columns)}")
    return columns, [(line, dict(zip(columns, row, strict=True))) for line, row in table[1:]]


def _open_quote(row: Sequence[str], table: Sequence[tuple[int, list[str]]], line: int) -> str:
    """Which cell runs over the end of its line."""
    place = next((n for n, cell in enumerate(row) if "\n" in cell or "\r" in cell), 0)
    columns = table[0][1] if table else []
    name = f"column {shorten(columns[place])}" if place < len(columns) else f"cell {place + 1}"
    return f"line {line}: the cell of {name} runs over the end of the line: close its quotes"


def _misfit(row: Sequence[str], columns: Sequence[str]) -> str:
    """More or fewer cells than columns; a cell that begins with a space once followed a comma."""
    said = f"{len(row)} cells for {len(columns)} columns"
    if len(row) < len(columns):
        return f"{said}, none for {shorten(columns[len(row)])}: write every comma"
    place = next((n - 1 for n, cell in enumerate(row) if n and cell.startswith(" ")), len(columns))
    name = columns[min(place, len(columns) - 1)]
    return f"{said}: is there a comma in {shorten(name)}? A cell that holds one needs quotes"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
