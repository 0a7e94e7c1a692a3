"""The 60 criteria of eval/criteria/photos60.yaml and a folder of photos -> the folder's tasks.json.

They stand in for the paper's 60 image and prompt pairs, which were never released.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from lr_edit.errors import UserError
from lr_edit.types import EditTask
from lr_edit.workspace.storage import find_tasks, write_tasks

CRITERIA = Path(__file__).parent / "criteria/photos60.yaml"
KINDS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


def criteria() -> list[dict[str, str]]:
    """id, category, photo (what it must show), source (words), prompt of every edit."""
    rows: list[dict[str, str]] = yaml.safe_load(CRITERIA.read_text(encoding="utf-8"))
    return rows


def write_photo_tasks(folder: Path) -> tuple[list[EditTask], list[str]]:
    """Write tasks.json for the photos that are there; the tasks, and the ids that lack a photo.

    Tasks that the folder has keep their words. UserError where there is no such photo, or two of
    one id.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() in KINDS:
            found.setdefault(path.stem, []).append(path)
    rows = criteria()
    tasks = []
    for row in rows:
        paths = found.get(row["id"], [])
        if len(paths) > 1:
            raise UserError(f"{paths[0]} and {paths[1].name} are one task: keep one of them")
        tasks += [
            EditTask(row["id"], Path(path.name), row["source"], row["prompt"], row["category"])
            for path in paths
        ]
    if not tasks and not folder.is_dir():
        raise UserError(f"{folder} is no folder: name the one with the photos")
    if not tasks:
        raise UserError(
            f"{folder} has no photo named by a task's id, as {rows[0]['id']}.jpg: "
            "`lr-edit photos` lists all 60"
        )
    listed = any((folder / name).is_file() for name in ("tasks.json", "images.json"))
    known = {task.id: task for task in (find_tasks(folder) if listed else [])}
    write_tasks(folder / "tasks.json", list(({task.id: task for task in tasks} | known).values()))
    return tasks, [row["id"] for row in rows if row["id"] not in found]
