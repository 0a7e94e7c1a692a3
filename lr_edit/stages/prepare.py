"""prepare: the profile's data folder -> artifacts/tasks, every image RGB at the working size: in
its own shape, the longer side the models'.

Pictures there are named by us, after a task's id: nothing that an input says becomes a path.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.photo import fit_photo, scale_box
from lr_edit.profiles import Profile
from lr_edit.types import Box, EditTask
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.paths import locate
from lr_edit.workspace.pictures import read_image, write_image
from lr_edit.workspace.tasks import check_truth, find_tasks, write_tasks


def run(root: Path, config: Config) -> None:
    """Check every task of the split and write it where the other stages read it."""
    data, out = locate(root, config.models.data), root / "artifacts/tasks"
    if _overlap(data.resolve(), out.resolve()):
        raise UserError(f"the data folder {data} and {out}, which is emptied, are one: move it")
    tasks = [task for task in find_tasks(data) if task.split == config.study.split]
    if not tasks:
        raise UserError(f"{data} has no task of the split {config.study.split!r}")
    for task in tasks:
        if not (data / task.image).is_file():
            what = "no file" if (data / task.image).exists() else "missing"
            raise UserError(
                f"task {task.id!r}: {data / task.image} is {what}: add it, or drop the task"
            )
    with new_folder(out) as part:
        made = [_fitted(task, data, part, config.models) for task in tasks]
        write_tasks(part / "tasks.json", made)


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _fitted(task: EditTask, data: Path, out: Path, profile: Profile) -> EditTask:
    """Write the task's image at working size; the task with its true boxes there."""
    photo = read_image(data / task.image)
    height, width = photo.shape[:2]
    image = Path("images", f"{task.id}.png")
    fitted = fit_photo(photo, side=profile.side, least=profile.cell)
    write_image(out / image, fitted)
    task = replace(task, image=image)
    if task.truth is None:
        return task
    check_truth(task, (height, width))
    new = (fitted.shape[1], fitted.shape[0])
    if new == (width, height):
        return task

    def move(box: Box) -> Box:
        return scale_box(box, old=(width, height), new=new)

    known = tuple((label, move(place)) for label, place in task.truth.bystanders)
    moved = task.truth.box and move(task.truth.box)
    return replace(task, truth=replace(task.truth, box=moved, bystanders=known))
