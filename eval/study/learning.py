"""What the train stage wrote -> how far learning went: start, end, floor and the share of the gap.

artifacts/nets/VARIANT/summary.json   {"learner", "tasks"}; each task has start, end, floor,
                                      the same of z-scores (..._z) and candidates_used
artifacts/nets/VARIANT/curves.jsonl   {"task", "step", "expected_loss", ...} a line
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.statistics import estimate
from eval.study.evaluate import cell
from lr_edit.errors import UserError, reading
from lr_edit.workspace.storage import read_json

DIGITS = 6  # decimals of what the figure is drawn from


@dataclass(frozen=True)
class TrainingRecord:
    """One variant's training: the expected loss under pi, task by task.

    start, end, floor   (tasks,) of the raw table; `floor` is the mean of the rows' minima
    gap_closed          (tasks,) share of start - floor; NaN where there was no gap
    gap_closed_z        (tasks,) the same on the z-scored rows that were learned from
    steps               (steps,) those on record
    curve               (tasks, steps) expected loss
    """

    variant: str
    learner: str
    start: np.ndarray
    end: np.ndarray
    floor: np.ndarray
    gap_closed: np.ndarray
    gap_closed_z: np.ndarray
    steps: np.ndarray
    curve: np.ndarray

    @property
    def fell(self) -> float:
        """Share of tasks whose expected loss is lower at the end than at the start."""
        return float((self.end < self.start).mean())


def read_training(root: Path, variant: str) -> TrainingRecord | None:
    """None for a variant that trains no net."""
    folder = root / "artifacts/nets" / variant
    with reading(folder, cure="run its stage train again"):
        return _read_nets(folder)


def _read_nets(folder: Path) -> TrainingRecord | None:
    summary = read_json(folder / "summary.json")
    if summary["learner"] in (None, "none"):
        return None
    tasks = sorted(summary["tasks"])
    start, end, floor, *scored = (
        np.array([float(summary["tasks"][task][key]) for task in tasks])
        for key in ("start", "end", "floor", "start_z", "end_z", "floor_z")
    )
    steps, curve = _read_curve(folder / "curves.jsonl", tasks)
    return TrainingRecord(
        variant=folder.name,
        learner=summary["learner"],
        start=start,
        end=end,
        floor=floor,
        gap_closed=_gap_closed(start, end, floor),
        gap_closed_z=_gap_closed(*scored),
        steps=steps,
        curve=curve,
    )


def learning_results(
    trainings: Sequence[TrainingRecord], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """The section `learning` of results.json: variant -> its numbers, over all tasks."""
    return {
        training.variant: {
            "learner": training.learner,
            "tasks": len(training.start),
            "fell": training.fell,
            **{
                key: cell(estimate(getattr(training, key), resamples=resamples, seed=seed))
                for key in ("start", "end", "floor", "gap_closed", "gap_closed_z")
            },
        }
        for training in trainings
    }


def training_curves(trainings: Sequence[TrainingRecord]) -> dict[str, dict[str, Any]]:
    """What reports/training.json holds for the figure: variant -> learner, steps, the expected
    loss over tasks at each (mean, 10% and 90%), and every task's start, end and floor."""
    found = {}
    for one in trainings:
        low, high = np.nanpercentile(one.curve, [10, 90], axis=0)
        curves = {"mean": np.nanmean(one.curve, axis=0), "low": low, "high": high}
        tasks = {"start": one.start, "end": one.end, "floor": one.floor}
        found[one.variant] = {
            "learner": one.learner,
            "steps": one.steps.tolist(),
            **{key: np.round(values, DIGITS).tolist() for key, values in (curves | tasks).items()},
        }
    return found


def _gap_closed(start: np.ndarray, end: np.ndarray, floor: np.ndarray) -> np.ndarray:
    gap = start - floor
    return np.divide(start - end, gap, out=np.full_like(gap, np.nan), where=gap > 1e-9)


def _read_curve(path: Path, tasks: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Steps on record, and (tasks, steps) expected loss, NaN where a task lacks a step."""
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, json.JSONDecodeError):
        raise UserError(f"{path} is missing or broken: run the stage train again") from None
    steps = sorted({record["step"] for record in records})
    column, row = ({name: at for at, name in enumerate(names)} for names in (steps, tasks))
    curve = np.full((len(tasks), len(steps)), np.nan)
    for record in records:
        curve[row[record["task"]], column[record["step"]]] = record["expected_loss"]
    return np.array(steps), curve
