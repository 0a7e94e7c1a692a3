"""prepare: the profile's data folder -> artifacts/tasks, every image RGB at the working size."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.photo import photo_to_square, working_image
from lr_edit.types import EditTask
from lr_edit.workspace.paths import locate
from lr_edit.workspace.storage import empty_folder, find_tasks, read_image, write_image, write_tasks


def run(root: Path, config: Config) -> None:
    """Check every task of the split and write it where the other stages look."""
    data, out = locate(root, config.models.data), empty_folder(root / "artifacts/tasks")
    tasks = [task for task in find_tasks(data) if task.split == config.study.split]
    if not tasks:
        raise UserError(f"{data} has no task of the split {config.study.split!r}")
    for task in tasks:
        if not (data / task.image).is_file():
            raise UserError(
                f"task {task.id!r}: {data / task.image} is missing: add it, or drop the task"
            )
    write_tasks(
        out / "tasks.json", [_square(task, data, out, config.models.side) for task in tasks]
    )


def _square(task: EditTask, data: Path, out: Path, side: int) -> EditTask:
    """Write the task's image at working size; the task with its true boxes there."""
    photo = read_image(data / task.image)
    height, width = photo.shape[:2]
    write_image(out / task.image, working_image(photo, side=side))
    if task.truth is None or (height, width) == (side, side):
        return task
    move = partial(photo_to_square, side=side, width=width, height=height)
    known = tuple((label, move(box)) for label, box in task.truth.bystanders)
    box = task.truth.box and move(task.truth.box)
    return replace(task, truth=replace(task.truth, box=box, bystanders=known))
