"""A CSV of edits, or a folder that holds exactly one; paths in it are relative to it."""

from __future__ import annotations

from pathlib import Path

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import image_names, text_of
from lr_edit.errors import UserError, suggest_name
from lr_edit.files import read_csv
from lr_edit.types import EditTask
from lr_edit.workspace.tasks import inside

COLUMNS = (
    "image", "prompt", "id", "source", "caption", "instruction", "mask", "target", "category",
)  # fmt: skip


def read_table(path: Path) -> Dataset:
    """A task a line. UserError for another column, or a path that leaves the folder."""
    path = _find(path)
    home = path.parent
    samples = []
    for number, row in _rows(path):
        at = f"{path}, line {number}"
        image = inside(home, text_of(row, "image", at=at), said=at)
        name = row.get("id") or ""
        if "/" in name or "\\" in name:
            raise UserError(f"{at}: the id {name[:80]!r} is a path: give it a name")
        name = name or image.with_suffix("").as_posix()
        task = EditTask(
            id=name,
            image=image,
            source=row.get("source") or "",
            prompt=text_of(row, "prompt", at=at),
            category=row.get("category") or "edit",
            caption=row.get("caption") or None,
        )
        mask, target = (
            home / inside(home, row[key], said=at) if row.get(key) else None
            for key in ("mask", "target")
        )
        words = row.get("instruction") or ""
        samples.append(Sample(task, home / image, image_names(image, name), mask, target, words))
    return Dataset("csv", tuple(samples))


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.csv"))
    if len(found) != 1:
        raise UserError(f"{path} holds {len(found)} CSV files: name one")
    return found[0]


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    columns, rows = read_csv(path)
    for name in columns:
        if name not in COLUMNS:
            raise UserError(f"{path}: unknown column {name!r}{suggest_name(name or '', COLUMNS)}")
    return rows
