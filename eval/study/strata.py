"""Where a row is better than another: how often it is right where one thing makes it hard.

By success, and by *in place*: success also asks that the pixels of bystanders and ground stay,
which an editor that sends the whole picture through its autoencoder moves, however right it looks.

A task may stand in several strata. Comparisons are to a group's first row on the same tasks; no
test is adjusted over them, so that intervals are said and no p.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eval.metrics.registry import CROWDED, is_headline
from eval.statistics import estimate, paired_difference
from eval.study.evaluate import cell
from eval.study.scores import Scores
from lr_edit.types import EditTask

GROUP = "baselines"  # of the ablations
LEAST = 5  # tasks of which something is said
METRICS = ("success", "in_place")


def _things(number: int) -> Callable[[EditTask], bool]:
    return lambda task: _is_headline(task) and min(CROWDED, _count(task)) == number


def _count(task: EditTask) -> int:
    return 1 + len(task.truth.bystanders) if task.truth else 0


def _is_headline(task: EditTask) -> bool:
    return is_headline(task.category)


def _has_alike(task: EditTask) -> bool:
    """Whether something else in the scene is of the named kind or colour."""
    from eval.metrics.success import old_label  # it brings torch, which tables do without

    old = old_label(task.source)
    others = [label for label, _ in task.truth.bystanders] if task.truth else []
    return any(old.kind == one.kind or old.colour == one.colour for one in others)


# What a stratum is called in results.json, its title, and which tasks are in it.
STRATA: dict[str, tuple[str, Callable[[EditTask], bool]]] = {
    "all": ("all", lambda task: _is_headline(task)),
    "one": ("one thing", _things(1)),
    "two": ("two things", _things(2)),
    "three": ("three things", _things(3)),
    "alike": (
        "another of its kind or colour", lambda task: _is_headline(task) and _has_alike(task)
    ),
    "unnamed": ("the words name no thing (add)", lambda task: task.category == "add"),
}  # fmt: skip


def compare_by_stratum(
    rows: Sequence[Scores],
    tasks: Sequence[EditTask],
    *,
    metric: str,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Row -> stratum -> a metric's mean with its interval, and, but for the first row, the paired
    difference to it.

    Args:
        rows: Scores of a group; the first is what the others are compared with.
        tasks: Those that were scored, in the order of the scores.
        metric: "success" or "in_place".
        resamples: Of the bootstrap.
        seed: Of the same.

    Returns:
        Only strata of `LEAST` tasks or more, for which the metric is known.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {row.variant: {} for row in rows}
    for name, (_, holds) in STRATA.items():
        keep = np.array([task.truth is not None and holds(task) for task in tasks], bool)
        first = rows[0].per_task(metric)[keep]
        if np.isfinite(first).sum() < LEAST:
            continue
        for row in rows:
            own = row.per_task(metric)[keep]
            said: dict[str, Any] = cell(estimate(own, resamples=resamples, seed=seed))
            if row is not rows[0]:
                one = paired_difference(
                    own, first, higher_is_better=True, resamples=resamples, seed=seed
                )
                said["paired"] = {
                    key: value for key, value in asdict(one).items()
                    if key in ("difference", "low", "high", "n")
                }  # fmt: skip
            found[row.variant][name] = said
    return found
