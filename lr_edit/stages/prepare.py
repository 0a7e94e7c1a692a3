"""prepare: the profile's data folder -> artifacts/tasks, every image RGB at the working size."""

from __future__ import annotations

from pathlib import Path

from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.photo import working_image
from lr_edit.places import locate
from lr_edit.storage import emptied, read_image, read_tasks, write_image, write_tasks
from lr_edit.types import EditTask


def run(root: Path, config: Config) -> None:
    """Check every task of the split and write it where the other stages look."""
    data, out = locate(root, config.models.data), emptied(root / "artifacts/tasks")
    tasks = [task for task in find_tasks(data) if task.split == config.study.split]
    if not tasks:
        raise UserError(f"{data} has no task of the split {config.study.split!r}")
    for task in tasks:
        if not (data / task.image).is_file():
            raise UserError(
                f"task {task.id!r}: {data / task.image} is missing: add it, or drop the task"
            )
        image = working_image(read_image(data / task.image), side=config.models.side)
        write_image(out / task.image, image)
    write_tasks(out / "tasks.json", tasks)


def find_tasks(data: Path) -> list[EditTask]:
    """Tasks of a data folder: its tasks.json, or the released images.json."""
    for name in ("tasks.json", "images.json"):
        if (data / name).is_file():
            return read_tasks(data / name)
    raise UserError(
        f"{data} holds neither tasks.json nor images.json: run `dvc pull`, or see "
        "`lr-edit photos --help`"
    )
