"""How often the method's edit is preferred: the paper's people beside this study's judges.

A win on a task is a higher value by a judge, a tie half a win. It is a judge's preference, not
people's: the paper showed pairs to users and published no automatic metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eval.conventions import BY_KEY
from eval.scores import Scores
from eval.statistics import estimate

# Lin et al. 2024, Table 2: percent of users who prefer the method to each row.
PAPER = {"random-anchor-random-size": 83.9, "dino-random-size": 71.0}
JUDGED = ("success", "clip_directional", "clip_edited")


def preferences(
    ours: Scores, others: Sequence[Scores], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Row of the paper's Table 2 -> metric -> share of headline tasks that `ours` wins."""
    keep = ours.where()
    return {
        other.variant: {
            key: asdict(
                estimate(
                    _wins(ours.per_task(key)[keep], other.per_task(key)[keep], key=key),
                    resamples=resamples,
                    seed=seed,
                )
            )
            for key in JUDGED
        }
        for other in others
        if other.variant in PAPER
    }


def _wins(ours: np.ndarray, other: np.ndarray, *, key: str) -> np.ndarray:
    """1, 0.5 or 0 a task; NaN where either has no value."""
    gain = ours - other if BY_KEY[key].higher_is_better else other - ours
    return np.where(np.isnan(gain), np.nan, (np.sign(gain) + 1) / 2)


def preferences_page(found: dict[str, dict[str, Any]], *, method: str) -> list[str]:
    """Lines of Markdown; none where the rows were not run."""
    if not found:
        return []
    head = " | ".join(f"judge: {BY_KEY[key].title.lower()}" for key in JUDGED)
    lines = [
        "## Beside the paper's user study",
        "",
        f"Share of tasks on which `{method}` is preferred, in percent: by the paper's users (its "
        "Table 2, photos), and by this study's judges (drawn scenes; a tie is half a win, so that "
        "two failures count as a tie). Judges are not people, and the worlds differ: the columns "
        "stand side by side, they do not test each other.",
        "",
        f"| against | paper: people | {head} |",
        "| --- | ---: |" + " ---: |" * len(JUDGED),
    ]
    for name, row in found.items():
        cells = [
            f"{100 * one['mean']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
            if one["mean"] is not None and one["low"] is not None
            else "–"
            for one in (row[key] for key in JUDGED)
        ]
        lines.append("| " + " | ".join([name, f"{PAPER[name]:.1f}", *cells]) + " |")
    return [*lines, ""]
