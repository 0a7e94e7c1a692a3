"""Why edits fail, and what would help, computed from the judged bank.

Every candidate of the bank was judged, so a failure has a first missing link:

anchors     no box of the bank meets the object at IoU 0.5
inpainter   some box does, and no candidate of the whole bank succeeds
size        some candidate succeeds, and none at the sizes that were picked at the anchors
ranking     one of the picked candidates succeeds, and another was taken

That a picked candidate succeeds is no proof that ranking is to blame: of many, one succeeds by
chance. What a row would reach if it did one thing perfectly is the fairer question (`reach`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.study.evaluate import Judgements
from lr_edit.types import Choice, EditTask

WHAT_IF = {  # what a row would do perfectly, all else as it is
    "nothing": "as it is",
    "ranking": "the best of the candidates that it picked",
    "size": "the best size at each of its anchors, and the best of these",
    "box": "the true box",
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


def reach(
    judged: Sequence[Judgements],
    *,
    choices: Sequence[Choice],
    picked: Sequence[np.ndarray | None],
    truth: Sequence[Judgements] | None,
) -> dict[str, np.ndarray]:
    """Success per task, (tasks,), as it is and under each `WHAT_IF`; `box` where it was judged.

    `picked` holds a size per anchor (points,), or None where a row picked every candidate.
    """
    found: dict[str, list[float]] = {"nothing": [], "ranking": [], "size": []}
    for table, choice, sizes in zip(judged, choices, picked, strict=True):
        success = table["success"]
        own = success if sizes is None else success[np.arange(len(sizes)), sizes]
        found["nothing"].append(success[choice.point, choice.size])
        found["ranking"].append(own.max())
        found["size"].append(success.max())
    if truth is not None:
        found["box"] = [table["success"].max() for table in truth]
    return {name: np.array(values, float) for name, values in found.items()}
