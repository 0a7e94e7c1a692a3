"""How often the method's edit is preferred: the paper's people beside this study's judges.

A win is a higher value by a judge, a tie half a win; a task with many random draws counts once, by
the mean over its pairs. It is a judge's preference, not
people's: the paper showed pairs to users and published no automatic metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from eval.metrics.registry import BY_KEY
from eval.statistics import estimate, over_seeds, paired_difference
from eval.study.scores import Scores

# Lin et al. 2024: table -> row of a study -> its name there, percent of users who prefer the method
# to it. Of the paper's Table 1 only editors that ran here have a row.
PAPER: dict[str, dict[str, tuple[str, float | None]]] = {
    "Beside the paper's Table 2: random boxes": {
        "random-anchor-random-size": ("random-anchor-random-size", 83.9),
        "dino-random-size": ("dino-random-size", 71.0),
    },
    "Beside the paper's Table 1: other editors": {
        "diffedit-box": ("DiffEdit (its box, our inpainter)", 91.9),
        "sdedit": ("SDEdit (not in the paper)", None),
    },
}
JUDGED = ("success", "clip_directional", "clip_edited")


def preferences(
    ours: Scores, others: Sequence[Scores], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Row of `PAPER` -> metric -> share of headline tasks that `ours` wins, with a sign test."""
    keep = ours.where()
    known = {name for rows in PAPER.values() for name in rows}
    return {
        other.variant: {
            key: _preferred(_wins(ours, other, key=key)[keep], resamples=resamples, seed=seed)
            for key in JUDGED
        }
        for other in others
        if other.variant in known
    }


def _wins(ours: Scores, other: Scores, *, key: str) -> Float[np.ndarray, " tasks"]:
    """Mean over the pairs of a task's seeds of 1, 0.5 or 0; NaN where a task has no pair."""
    gain = ours.values[key][:, :, None] - other.values[key][:, None, :]
    better = np.sign(gain if BY_KEY[key].higher_is_better else -gain)  # (tasks, ours, theirs)
    return over_seeds((better.reshape(len(gain), -1) + 1) / 2)


def _preferred(
    wins: Float[np.ndarray, " tasks"], *, resamples: int, seed: int
) -> dict[str, float | int | None]:
    """Mean and interval, and a sign test of more wins than losses over tasks."""
    even = np.full(len(wins), 0.5)
    test = paired_difference(wins, even, higher_is_better=True, resamples=resamples, seed=seed)
    return {**asdict(estimate(wins, resamples=resamples, seed=seed)), "sign_p": test.sign_p}
