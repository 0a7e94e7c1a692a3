"""Edits of the picture-book world with their ground truth, and the `data/` folder they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lr_edit.errors import UserError
from lr_edit.picturebook.pool import scene_rng
from lr_edit.picturebook.world import COLOURS, KINDS, Scene, Thing, draw, place_thing, sample_scene
from lr_edit.types import EditTask, Label, Truth
from lr_edit.workspace.storage import read_json, write_image, write_tasks

# Tasks a split holds. Replace and recolour are the headline; remove and add are reported apart.
COUNTS: dict[str, dict[str, int]] = {
    "train": {"replace": 64, "recolour": 64},
    "val": {"replace": 12, "recolour": 12, "remove": 4, "add": 4},
    "dev": {"replace": 48, "recolour": 48, "remove": 8, "add": 8},
    "test": {"replace": 162, "recolour": 162, "remove": 48, "add": 48},
}
# What a split's tasks are called where that is not its name: a task's noise is drawn by its id, and
# those of `dev` are older than its name.
_CALLED = {"dev": "eval"}
TRIES = 100  # to place one thing more before the scene is drawn anew


def make_task(
    category: str, split: str, *, index: int, seed: int = 0
) -> tuple[EditTask, Scene, Scene]:
    """A task, the scene it edits, and the scene as it should become.

    Task `index` of a split never changes.
    """
    rng = scene_rng(split, 1_000_000 + index, seed=seed)
    count = _things(split, index, rng=rng)
    before, old, new = draw_edit(category, count, rng=rng)
    while category == "add" and new is None:  # the scene is full
        before, old, new = draw_edit(category, count, rng=rng)
    if category == "add":
        after = replace(before, things=(*before.things, new)) if new else before
        truth = Truth(None, _label(new), _bystanders(before, None))
        source = before.ground
    else:
        after = before.swap(old, new)
        truth = Truth(old.box, _label(new), _bystanders(before, old))
        source = old.phrase
    name = f"{_CALLED.get(split, split)}-{index:03d}"
    task = EditTask(
        id=name,
        image=Path("images") / f"{name}.png",
        source=source,
        prompt=after.caption,
        category=category,
        split=split,
        caption=before.caption,
        truth=truth,
    )
    return task, before, after


def _things(split: str, index: int, *, rng: np.random.Generator) -> int:
    """How many things a scene has: in `test` one, two and three in turn; elsewhere every second
    scene has one or two distractors."""
    if split == "test":
        return 1 + index % 3
    return 1 if index % 2 == 0 else int(rng.integers(2, 4))


def draw_edit(
    category: str, count: int, *, rng: np.random.Generator
) -> tuple[Scene, Thing, Thing | None]:
    """A scene, the thing in it that is edited, and what takes its place or stands beside it."""
    before = sample_scene(rng, count if category != "add" else count - 1 or 1)
    old = before.things[int(rng.integers(len(before.things)))]
    return before, old, _new_thing(category, old, before, rng)


def _new_thing(category: str, old: Thing, scene: Scene, rng: np.random.Generator) -> Thing | None:
    """What takes the old thing's place; nothing of the same name is in the scene."""
    taken = {thing.name for thing in scene.things}
    while category in ("replace", "recolour"):
        kind = old.kind if category == "recolour" else str(rng.choice(KINDS))
        new = replace(old, kind=kind, colour=str(rng.choice(list(COLOURS))))
        if new.name not in taken and (kind == old.kind) == (category == "recolour"):
            return new
    for _ in range(TRIES if category == "add" else 0):
        if placed := place_thing(rng, list(scene.things)):
            return placed
    return None


def _label(thing: Thing | None) -> Label | None:
    return Label(thing.kind, thing.colour) if thing else None


def _bystanders(scene: Scene, old: Thing | None) -> tuple:
    return tuple((Label(t.kind, t.colour), t.box) for t in scene.things if t != old)


def count_more(tasks: int) -> dict[str, dict[str, int]]:
    """Counts of a larger set to train on: so many tasks, half of each headline category.

    Example:
        >>> count_more(1024)
        {'train': {'replace': 512, 'recolour': 512}}
    """
    return {"train": {"replace": (tasks + 1) // 2, "recolour": tasks // 2}}


def write_data(
    folder: Path, *, seed: int = 0, counts: dict[str, dict[str, int]] = COUNTS
) -> list[EditTask]:
    """Draw every split's tasks into `folder`: tasks.json and images/.

    Raises UserError where the folder holds anything but a drawn world.
    """
    made = [
        make_task(category, split, index=index, seed=seed)[:2]
        for split, of in counts.items()
        for index, category in enumerate(name for name, count in of.items() for _ in range(count))
    ]
    tasks = [task for task, _ in made]
    if not _may_hold(folder, tasks):
        raise UserError(f"{folder} holds something else than the drawn world: name an empty folder")
    for task, before in made:
        write_image(folder / task.image, draw(before))
    write_tasks(folder / "tasks.json", tasks)
    return tasks


def _may_hold(folder: Path, tasks: list[EditTask]) -> bool:
    """Whether a folder is empty or not there, or holds the tasks of these names and no other."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    if not (folder / "tasks.json").is_file():
        return not any(folder.iterdir())
    found = read_json(folder / "tasks.json")
    rows = found if isinstance(found, list) else [None]
    ids = [row.get("id") if isinstance(row, dict) else None for row in rows]
    return ids == [task.id for task in tasks]
