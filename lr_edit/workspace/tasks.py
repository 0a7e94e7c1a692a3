"""Tasks on disk: ours (tasks.json), and the released images.json. What an input names is read from
its own folder alone."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from lr_edit.errors import UserError, shorten
from lr_edit.files import is_plain_name, read_json, write_json
from lr_edit.types import Box, EditTask, Label, Split, Truth

SPLITS = get_args(Split)


def write_tasks(path: Path, tasks: list[EditTask]) -> None:
    """Tasks to JSON, in the given order."""
    rows = [asdict(task) | {"image": task.image.as_posix()} for task in tasks]
    write_json(path, rows)


def read_tasks(path: Path) -> list[EditTask]:
    """Tasks from our tasks.json, or from the released images.json ({"1.png": [source, prompt]}).

    Raises UserError for an empty prompt, a repeated id, an unknown key, a value of another kind, or
    an image outside the folder of `path`.
    """
    raw = read_json(path)
    if isinstance(raw, dict):
        raw = [_released(path, name, row) for name, row in raw.items()]
    if not isinstance(raw, list):
        raise UserError(f"{path} must hold a list of tasks or the released images.json")
    home = path.parent.resolve()
    tasks = [_task(path, home, row) for row in raw]
    # Outputs are named after ids, and some disks know neither case nor how an accent is written.
    counts = Counter(unicodedata.normalize("NFC", task.id).casefold() for task in tasks)
    for task in tasks:
        if counts[unicodedata.normalize("NFC", task.id).casefold()] > 1:
            raise UserError(f"{path}: task id {task.id!r} appears more than once: make ids unique")
    return tasks


def _released(path: Path, name: str, row: Any) -> dict[str, Any]:
    if not (isinstance(row, list) and len(row) == 2):
        raise UserError(f"{path}: {shorten(name)} must map to [source words, prompt]")
    stem = PurePosixPath(name).stem
    return {"id": stem, "image": name, "source": row[0], "prompt": row[1]}


def _task(path: Path, home: Path, row: Any) -> EditTask:
    if not isinstance(row, dict):
        raise UserError(f"{path}: every task must be a mapping, got {shorten(row)}")
    said = f"{path}: task {shorten(row.get('id', '?'))}"
    unknown = set(row) - {field.name for field in fields(EditTask)}
    if unknown:
        raise UserError(f"{said} has the unknown key {shorten(sorted(unknown)[0])}")
    for key, value in row.items():
        empty = value is None and key not in ("category", "split")
        if key != "truth" and not empty and not isinstance(value, str):
            raise UserError(f"{said}: {key!r} must be a text, got {shorten(value)}")
        if isinstance(value, str) and not _is_text(value):
            raise UserError(f"{said}: {key!r} holds a zero, or half a character: write it anew")
    for key in ("id", "image", "source", "prompt"):
        if not (row.get(key) or "").strip():
            raise UserError(f"{said} has an empty {key!r}: write one")
    if not is_plain_name(row["id"]):
        raise UserError(
            f"{said}: an id may hold letters, digits, '-', '_', '.' only, 200 bytes at most"
        )
    if row.get("split", "dev") not in SPLITS:  # no study would ever see it
        raise UserError(
            f"{said} is of the split {shorten(row['split'])}: write {', '.join(SPLITS)}, or leave "
            "it out, for dev"
        )
    image = inside(home, row["image"], said=f"{said}: the image")
    try:
        truth = _truth(row.get("truth"))
    except ValueError as error:
        raise UserError(
            f"{said} has a malformed truth ({shorten(error)}): write box, wanted and bystanders, "
            "each null or as docs/own-photos.md says, or leave it out"
        ) from None
    return EditTask(**{**row, "image": image, "truth": truth})


def inside(home: Path, name: str, *, said: str) -> Path:
    """The relative path that an input names. UserError, which begins with `said`, if it steps out
    of `home`, on its way or by a link, or is no path at all."""
    path = PurePosixPath(name)
    try:
        stays = _is_below(home, os.path.realpath(home / path))
    except (OSError, ValueError, RuntimeError):  # a NUL, half a character, a link to itself
        stays = False
    if path.is_absolute() or ".." in path.parts or not path.name or not stays:
        raise UserError(f"{said} {shorten(name)} leaves {home.resolve().name}/")
    return Path(path)


def _is_below(home: Path, real: str) -> bool:
    top = _real(home.absolute())  # the working directory may change
    return os.path.commonpath([top, real]) == top


@cache
def _real(home: Path) -> str:
    """Looked up once: a list may name 20,000 images of one folder."""
    return os.path.realpath(home)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _truth(row: Any) -> Truth | None:
    if row is None:
        return None
    box, wanted, bystanders = _parts(row, Truth)
    if not isinstance(bystanders, list | None):
        raise ValueError(f"bystanders are a list, got {shorten(bystanders)}")
    return Truth(
        box=None if box is None else _box(box),
        wanted=None if wanted is None else _label(wanted),
        bystanders=tuple(map(_bystander, bystanders or ())),
    )


def _bystander(row: Any) -> tuple[Label, Box]:
    if not (isinstance(row, list) and len(row) == 2):
        raise ValueError(f"a bystander is a label and a box, got {shorten(row)}")
    return _label(row[0]), _box(row[1])


def _box(row: Any) -> Box:
    sides = _parts(row, Box)
    if not all(type(side) is int for side in sides):
        raise ValueError(f"a box is of whole pixels, got {shorten(row)}")
    return Box(*sides)


def _label(row: Any) -> Label:
    words = _parts(row, Label)
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"a label is of words, got {shorten(row)}")
    return Label(*words)


def _parts(row: Any, kind: type[Truth | Box | Label]) -> list[Any]:
    """The values of a mapping, in the order of the fields that it must have."""
    names = [field.name for field in fields(kind)]
    if not isinstance(row, dict) or set(row) != set(names):
        raise ValueError(f"a {kind.__name__.lower()} has {', '.join(names)}, got {shorten(row)}")
    return [row[name] for name in names]


def check_truth(task: EditTask, size: tuple[int, int]) -> None:
    """UserError for a box of the task's truth that leaves its image, whose (height, width) are
    `size`."""
    height, width = size
    truth = task.truth or Truth(None, None)
    for box in (*(place for _, place in truth.bystanders), truth.box):
        if box and (box.right > width or box.bottom > height):
            raise UserError(f"task {task.id!r}: its {box} leaves the image of {width}x{height}")


def find_tasks(data: Path) -> list[EditTask]:
    """Tasks of a data folder: its tasks.json, or the released images.json."""
    for name in ("tasks.json", "images.json"):
        if (data / name).is_file():
            return read_tasks(data / name)
    raise UserError(
        f"{data} holds neither tasks.json nor images.json: run `dvc pull`, or see "
        "`lr-edit photos --help`"
    )
