"""Why edits fail, computed from the judged bank, and what size was chosen for what.

Every candidate of the bank was judged, so a failure has a first missing link:

anchors     no box of the bank meets the object at IoU 0.5
inpainter   some box does, and no candidate of the whole bank succeeds
size        some candidate succeeds, and none at the sizes that were picked at the anchors
ranking     one of the picked candidates succeeds, and another was taken
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.study.evaluate import Judgements
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.workspace.storage import atomic_write

CAUSES = ("anchors", "inpainter", "size", "ranking")
HIT = 0.5  # IoU
INK, ACCENT = "#333333", "#1f6fb2"


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


def diagnosis_page(causes: dict[str, int], *, method: str, tasks: int) -> list[str]:
    """Lines of Markdown."""
    failed = sum(causes.values())
    if not failed:
        return []
    meanings = {
        "anchors": "no box of the bank meets the object at IoU 0.5",
        "inpainter": "a box does, and no candidate of the bank succeeds",
        "size": "a candidate succeeds, at no size picked at the anchors",
        "ranking": "a picked candidate succeeds, another was taken",
    }
    lines = [
        "## Why edits fail",
        "",
        f"`{method}` fails on {failed} of {tasks} headline tasks. The first link that is missing:",
        "",
        "| cause | tasks | meaning |",
        "| --- | ---: | --- |",
        *(f"| {cause} | {causes[cause]} | {meanings[cause]} |" for cause in CAUSES),
        "",
        "The ten worst, by the judge's directional similarity: ![ten worst edits](worst.png)",
        "",
        "![Side of the chosen box against side of the object](sizes.png)",
        "",
        "How it chooses, on examples: ![attention, losses, probabilities, edit](anatomy.png)",
        "",
    ]
    return lines


def sizes_figure(
    path: Path,
    tasks: Sequence[EditTask],
    *,
    banks: Sequence[Bank],
    choices: Sequence[Choice],
    method: str,
    caption: str,
) -> None:
    """Root of the chosen box's area against that of the true box, in pixels, a dot per task."""
    figure = Figure(figsize=(4.8, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    pairs = [
        (task.truth.box.area**0.5, _side(bank.boxes[choice.point, choice.size]))
        for task, bank, choice in zip(tasks, banks, choices, strict=True)
        if task.truth and task.truth.box
    ]
    if pairs:
        true, chosen = np.array(pairs).T
        span = [0.0, float(max(true.max(), chosen.max())) * 1.05]
        axes.plot(span, span, color=INK, lw=1, ls=":", label="as large as the object")
        axes.scatter(true, chosen, s=16, color=ACCENT, alpha=0.6, lw=0, label=f"{method}, a task")
        axes.set(xlim=span, ylim=span)
        axes.legend(frameon=False, fontsize=8)
        if len(true) > 2 and np.ptp(chosen) > 0 and np.ptp(true) > 0:
            axes.set_title(f"correlation {np.corrcoef(true, chosen)[0, 1]:.2f}", fontsize=10)
    axes.set(xlabel="side of the object's box, pixels", ylabel="side of the chosen box, pixels")
    axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(caption, fontsize=6, color=INK, wrap=True)
    with atomic_write(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def _side(box: np.ndarray) -> float:
    left, top, right, bottom = (float(v) for v in box)
    return ((right - left) * (bottom - top)) ** 0.5
