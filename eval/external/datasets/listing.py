"""What adapters share: finding and reading the file that lists a data set, cell by cell.

Every function raises UserError and says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lr_edit.errors import UserError, shorten
from lr_edit.files import read_json


def find_listing(path: Path, *names: str) -> Path:
    """The file that lists the tasks: one of `names` in a folder, or the file itself."""
    if not path.is_dir():
        return path
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        raise UserError(f"{path} holds no {' or '.join(names)}: name the file that lists the tasks")
    return found


def first_folder(home: Path, *names: str) -> Path:
    """The first of the folders below `home` that is there, else `home`."""
    return next((home / name for name in names if (home / name).is_dir()), home)


def read_mapping(path: Path) -> dict[str, dict[str, Any]]:
    """A JSON object of objects."""
    found = read_json(path)
    if not (isinstance(found, dict) and all(isinstance(row, dict) for row in found.values())):
        raise UserError(f"{path} must map names to tasks")
    return found


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A JSON list of objects."""
    found = read_json(path)
    if not (isinstance(found, list) and all(isinstance(row, dict) for row in found)):
        raise UserError(f"{path} must hold a list of tasks")
    return found


def text_of(row: Mapping[str, Any], key: str, *, at: str) -> str:
    """A cell that must hold words."""
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise UserError(f"{at}: {key!r} must be a text, got {shorten(value)}")
    if not value or not value.strip():
        raise UserError(f"{at} has no {key!r}: write one")
    return value


def words_of(row: Mapping[str, Any], key: str) -> str:
    """A cell that may be empty."""
    value = row.get(key)
    return value.strip() if isinstance(value, str) else ""


def image_names(image: Path, task: str) -> tuple[str, ...]:
    """What an edit is called where nothing else is agreed: as its image, its task, or its file."""
    stem = image.with_suffix("").as_posix()
    return tuple(dict.fromkeys((image.as_posix(), stem, task, image.stem)))
