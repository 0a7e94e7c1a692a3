"""Drawn edits of a task that are right or wrong, to examine judges with: the world knows which.

right      the scene as it should become
nothing    the source itself
other      another thing, or the right one in another colour, where the wanted one should be; where
           something was to be removed, a new thing stands instead
damaged    the right edit, but a bystander or the ground changed as well
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from lr_edit.picturebook.pool import scene_rng
from lr_edit.picturebook.tasks import make_task
from lr_edit.picturebook.world import COLOURS, GROUNDS, KINDS, Scene, Thing, draw
from lr_edit.types import Box, EditTask

SPLIT, FIRST = "dev", 500_000  # scenes that no model was trained on and no study edits


@dataclass(frozen=True)
class Exam:
    """A task, its source, and drawn edits by name; `box` is where all of them differ."""

    task: EditTask
    source: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    wrong: dict[str, UInt8[np.ndarray, "h w 3"]]
    box: Box


def draw_exam(category: str, index: int) -> Exam:
    """The exam of this number; it never changes.

    Args:
        category: `replace`, `recolour`, `remove` or `add`.
        index: from 0.

    Returns:
        A right edit and three wrong ones.
    """
    task, before, after = make_task(category, SPLIT, index=FIRST + index)
    rng = scene_rng(SPLIT, 2 * FIRST + index)
    gone = [thing for thing in before.things if thing not in after.things]
    come = [thing for thing in after.things if thing not in before.things]
    place = (come or gone)[0]
    other = _other(place, [*before.things, *after.things], rng)
    wrong = after.swap(place, other) if come else before.swap(place, other)
    return Exam(
        task,
        draw(before),
        draw(after),
        {
            "nothing": draw(before),
            "other": draw(wrong),
            "damaged": draw(_damage(after, place, rng)),
        },
        (gone or come)[0].box,
    )


def _other(place: Thing, taken: list[Thing], rng: np.random.Generator) -> Thing:
    """A thing that nobody asked for, where another one stands."""
    names = {thing.name for thing in taken}
    while True:
        one = replace(place, kind=str(rng.choice(KINDS)), colour=str(rng.choice(list(COLOURS))))
        if one.name not in names:
            return one


def _damage(scene: Scene, place: Thing, rng: np.random.Generator) -> Scene:
    """The scene with a bystander of another look, or, where there is none, on another ground."""
    bystanders = [thing for thing in scene.things if thing != place]
    if bystanders:
        return scene.swap(bystanders[0], _other(bystanders[0], list(scene.things), rng))
    return replace(scene, ground=str(rng.choice([g for g in GROUNDS if g != scene.ground])))
