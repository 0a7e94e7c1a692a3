"""evaluate@variant: choices, banks and judgements -> per-image scores and one summary a variant.

Every candidate was judged once, in the stage that made it, so this picks rows of tables and needs
no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.box import area_ratio
from eval.metrics.registry import BY_KEY, CROWDED, MEASURES, PROTOCOL
from eval.statistics import Estimate, estimate
from eval.study.scores import Scores, rows, write_rows
from lr_edit.config import Config
from lr_edit.errors import UserError, reading
from lr_edit.types import Bank, Choice, EditTask, LossWeights
from lr_edit.variant import Variant
from lr_edit.workspace.storage import (
    read_banks,
    read_choices,
    read_json,
    read_tensors,
    study_tasks,
    write_json,
)

Judgements = dict[str, np.ndarray]  # metric -> (points, sizes)


def evaluate(root: Path, config: Config, *, name: str) -> None:
    """Write artifacts/scores/NAME.csv and NAME.json."""
    variant, tasks = config.variant(name), study_tasks(root)
    chosen = read_choices(root / "artifacts/edits" / name / "choices.json")
    trained = _read_summary(root / "artifacts/nets" / name / "summary.json")
    banks = read_banks(root, variant.proposals, tasks=tasks)
    with reading(root / "artifacts/nets" / name, cure="run its stage train again"):
        candidates_used = [
            count_candidates(variant, bank, trained=trained.get(task.id))
            for task, bank in zip(tasks, banks, strict=True)
        ]
    judged = read_judgements(root, variant.proposals, tasks=tasks, banks=banks)
    _check_choices(chosen, tasks, name)
    choices = [
        _of_task(chosen, task, bank, name=name) for task, bank in zip(tasks, banks, strict=True)
    ]
    scores = score_choices(
        name, tasks, choices=choices, banks=banks, judged=judged, candidates_used=candidates_used
    )
    seeds = [str(seed) for seed in range(scores.seeds)]
    folder = root / "artifacts/scores"
    write_rows(folder / f"{name}.csv", rows(scores, seeds=seeds))
    summary = summarise(scores, resamples=config.study.resamples, seed=config.study.seed)
    write_json(folder / f"{name}.json", summary)


def score_choices(
    name: str,
    tasks: Sequence[EditTask],
    *,
    choices: Sequence[Sequence[Choice]],
    banks: Sequence[Bank],
    judged: Sequence[Judgements],
    candidates_used: Sequence[int],
    nfe: Sequence[int] | None = None,
) -> Scores:
    """The metrics of what was chosen; everything is in the order of the tasks, one choice per seed.

    `loss` has the paper's weights in every row, whatever weights the variant chose by. UNet
    evaluations are the candidates' own, for the share that was used, unless `nfe` gives them.
    """
    values = {m.key: np.full((len(tasks), len(choices[0])), np.nan) for m in MEASURES}
    for at, (row, bank, table) in enumerate(zip(choices, banks, judged, strict=True)):
        share = bank.nfe * candidates_used[at] / bank.losses[..., 0].size
        whole_bank = {
            **{key: table[key] for key in values if key in table},
            "score_s": bank.score,
            "loss": bank.loss(LossWeights()),
            "candidates": np.full(bank.losses.shape[:2], float(candidates_used[at])),
            "nfe": np.full(bank.losses.shape[:2], nfe[at] if nfe else share),
            "area_ratio": _area_ratios(bank, tasks[at]),
            **_by_things(table["success"], tasks[at]),
        }
        failed = np.isnan(bank.score)  # no picture: nothing of it is a measure of an edit
        for key, column in whole_bank.items():
            known = column if key in ("candidates", "nfe") else np.where(failed, np.nan, column)
            values[key][at] = [known[choice.point, choice.size] for choice in row]
    ids = tuple(task.id for task in tasks)
    return Scores(name, ids, tuple(task.category for task in tasks), values)


def _by_things(success: np.ndarray, task: EditTask) -> Judgements:
    """Success again, under how many things stand in the scene; NaN under the other numbers."""
    if task.truth is None:
        return {}
    things = min(CROWDED, 1 + len(task.truth.bystanders))
    return {
        f"success_{number}": np.where(number == things, success, np.nan)
        for number in range(1, CROWDED + 1)
    }


def _area_ratios(bank: Bank, task: EditTask) -> np.ndarray:
    """(points, sizes); NaN where no true box is known."""
    if task.truth is None or task.truth.box is None:
        return np.full(bank.losses.shape[:2], np.nan)
    return area_ratio(bank.boxes, np.array(task.truth.box.as_tuple()))


def count_candidates(variant: Variant, bank: Bank, *, trained: dict[str, Any] | None) -> int:
    """Candidates that had to be made before the choice could.

    A net's training says which candidates it read; a table is read as a whole; a sample is what was
    drawn; a random or fixed size costs one candidate per anchor.
    """
    points, sizes = bank.losses.shape[:2]
    if trained and "candidates_used" in trained:
        return int(trained["candidates_used"])
    if variant.choose == "sample":
        return variant.draws
    whole_table = variant.choose in ("table", "best") or variant.learner in ("exact", "gumbel")
    return points * sizes if whole_table else points


def count_failed(banks: Sequence[Bank]) -> int:
    """Candidates that were no pictures: NaN, or black where the source is not."""
    return sum(int(np.isnan(bank.score).sum()) for bank in banks)


def summarise(scores: Scores, *, resamples: int, seed: int) -> dict[str, Any]:
    """Headline metrics, the same per category, and PSNR the two ways it can be averaged."""
    present = sorted(set(scores.categories))
    return {
        "variant": scores.variant,
        "protocol": PROTOCOL,
        "tasks": int(scores.where().sum()),
        "seeds": scores.seeds,
        "metrics": _cells(scores, scores.where(), resamples=resamples, seed=seed),
        "categories": {
            name: _cells(scores, scores.where(name), resamples=resamples, seed=seed)
            for name in present
        },
        "psnr": psnr_two_ways(scores),
    }


def psnr_two_ways(scores: Scores) -> dict[str, float | int | None]:
    """Per-image PSNR loses perfect backgrounds (counted); PSNR of the mean MSE keeps them."""
    keep = scores.where()
    error = scores.per_task("background_mse")[keep]
    mean = float(error[np.isfinite(error)].mean()) if np.isfinite(error).any() else 0.0
    return {
        "infinite": int(np.isinf(scores.per_task("background_psnr")[keep]).sum()),
        "of_mean_mse": float(-10 * np.log10(mean)) if mean > 0 else None,
    }


def cell(value: Estimate) -> dict[str, float | int | None]:
    """What results.json says of a metric; infinite values are counted under `psnr`."""
    return {key: part for key, part in asdict(value).items() if key != "infinite"}


def read_judgements(
    root: Path, proposals: str, *, tasks: Sequence[EditTask], banks: Sequence[Bank]
) -> list[Judgements]:
    """The judge tables of a proposal set, in the order of the tasks. UserError for one that judges
    other candidates than those of its bank."""
    folder, tables = root / "artifacts/judge" / proposals, []
    for task, bank in zip(tasks, banks, strict=True):
        path, shape = folder / f"{task.id}.safetensors", bank.losses.shape[:2]
        tables.append(read_tensors(path))
        if {values.shape for values in tables[-1].values()} != {shape}:
            raise UserError(
                f"{path} does not judge the {shape[0]}x{shape[1]} candidates of its table: run its "
                "stage judge again"
            )
    metrics = {name for table in tables for name in table}
    for task, table in zip(tasks, tables, strict=True):
        if lacking := metrics - table.keys():
            raise UserError(
                f"{folder / task.id}.safetensors lacks {min(lacking)}: run its stage judge again"
            )
    return tables


def _cells(
    scores: Scores, keep: np.ndarray, *, resamples: int, seed: int
) -> dict[str, dict[str, float | int | None]]:
    return {
        key: cell(estimate(scores.per_task(key)[keep], resamples=resamples, seed=seed))
        for key in BY_KEY
    }


def _read_summary(path: Path) -> dict[str, Any]:
    """Task -> what its net's training says; nothing of a variant without nets."""
    found = read_json(path)
    tasks = found.get("tasks") if isinstance(found, dict) else found
    if not isinstance(tasks, dict | None):
        raise UserError(f"{path} is no summary of nets: run its stage train again")
    return tasks or {}


def _check_choices(
    choices: dict[str, list[Choice]], tasks: Sequence[EditTask], name: str
) -> None:  # fmt: skip
    """UserError unless every task of the study was chosen for, and equally often."""
    again = "run its stage edit again"
    if strange := choices.keys() - {task.id for task in tasks}:
        raise UserError(f"{name} chose for {min(strange)!r}, no task of this study: {again}")
    first = next(iter(choices), "")
    for task, row in choices.items():
        if not row or len(row) != len(choices[first]):
            raise UserError(
                f"{name} has {len(row)} choices for the task {task!r} and {len(choices[first])} "
                f"for {first!r}, one for every seed: {again}"
            )


def _of_task(
    choices: dict[str, list[Choice]], task: EditTask, bank: Bank, *, name: str
) -> list[Choice]:
    """What was chosen for a task. UserError for nothing, and for what its candidates lack."""
    again = "run its stage edit again"
    if task.id not in choices:
        raise UserError(f"{name} chose nothing for the task {task.id!r}: {again}")
    points, sizes = bank.losses.shape[:2]
    for one in choices[task.id]:
        if one.point >= points or one.size >= sizes:
            raise UserError(
                f"{name} chose point {one.point} and size {one.size} for the task {task.id!r}, "
                f"whose candidates have {points} points and {sizes} sizes, from 0: {again}"
            )
    return choices[task.id]
