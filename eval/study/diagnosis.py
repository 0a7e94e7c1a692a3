"""Why edits fail, computed from the judged bank.

Every candidate of the bank was judged, so a failure has a first missing link:

anchors     no box of the bank meets the object at IoU 0.5
inpainter   some box does, and no candidate of the whole bank succeeds
size        some candidate succeeds, and none at the sizes that were picked at the anchors
ranking     one of the picked candidates succeeds, and another was taken
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.study.evaluate import Judgements
from lr_edit.types import Choice, EditTask

CAUSES = {  # and what each says, in the order that they are asked
    "anchors": "no box of the bank meets the object at IoU 0.5",
    "inpainter": "a box does, and no candidate of the bank succeeds",
    "size": "a candidate succeeds, at no size picked at the anchors",
    "ranking": "a picked candidate succeeds, another was taken",
}
HIT = 0.5  # IoU


@dataclass(frozen=True)
class Diagnosis:
    """One failed edit: the first link that is missing, and how far off its direction was."""

    task: str
    cause: str
    choice: Choice
    worth: float  # the judge's directional similarity: the lowest are the worst


def diagnose(
    tasks: Sequence[EditTask],
    judged: Sequence[Judgements],
    *,
    choices: Sequence[Choice],
    picked: Sequence[np.ndarray],
) -> list[Diagnosis]:
    """Failures among the tasks that have a true box; `picked` holds a size per anchor (points,)."""
    found = []
    for task, table, choice, sizes in zip(tasks, judged, choices, picked, strict=True):
        success = table["success"]
        if not np.isfinite(table["iou"]).any() or success[choice.point, choice.size] != 0:
            continue
        worth = float(table["clip_directional"][choice.point, choice.size])
        found.append(Diagnosis(task.id, _cause(table, sizes), choice, worth))
    return found


def _cause(table: Judgements, sizes: np.ndarray) -> str:
    success, points = table["success"] == 1, np.arange(len(sizes))
    if success[points, sizes].any():
        return "ranking"
    if success.any():
        return "size"
    return "inpainter" if (table["iou"] >= HIT).any() else "anchors"


def counts(found: Sequence[Diagnosis]) -> dict[str, int]:
    """How many failures each cause has."""
    return {cause: sum(one.cause == cause for one in found) for cause in CAUSES}
