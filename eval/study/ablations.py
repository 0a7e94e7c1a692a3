"""What the rows of `ablations` chose -> their scores and comparisons, by group.

A group's first row is the one that its others are compared with, task by task. Every row is scored
from the same judged candidates; nothing is inpainted for a row.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.registry import ABLATED
from eval.statistics import estimate, holm, paired_difference
from eval.study.evaluate import Judgements, cell, count_candidates, read_judgements, score_choices
from eval.study.scores import Scores
from lr_edit.config import Config
from lr_edit.errors import UserError, reading
from lr_edit.types import Choice, EditTask
from lr_edit.variant import Ablation
from lr_edit.workspace.storage import read_banks, read_json

KEYS = ("success", "success_1", "success_2", "success_3", "placed", "gone", "kept", "in_place",
        "iou", "hit", "area_ratio", "score_s", "loss", "expected_loss", "candidates",
        "nfe")  # fmt: skip
FILE, CURE = "artifacts/ablations.json", "delete it and run `dvc repro ablate`"
TESTED = ("success", "iou", "score_s", "loss", "expected_loss")


def ablation_scores(
    root: Path, config: Config, *, tasks: list[EditTask]
) -> dict[str, list[Scores]]:
    """Group -> scores of its rows, in the order of params.yaml."""
    if not config.ablations:
        return {}
    chosen = read_chosen(root, config)
    with reading(root / FILE, cure=CURE):
        return {
            group: [
                _score(root, tasks, name, row, chosen[group][name]) for name, row in rows.items()
            ]
            for group, rows in config.ablations.items()
        }


def read_chosen(root: Path, config: Config) -> dict[str, Any]:
    """Group -> row -> what the stage ablate chose. UserError where a row of params.yaml is not
    among them."""
    path = root / FILE
    found = read_json(path)
    for group, rows in config.ablations.items():
        made = found.get(group) if isinstance(found, dict) else None
        for name in rows:
            row = made.get(name) if isinstance(made, dict) else None
            if not isinstance(row, dict) or not {"choices", "expected"} <= row.keys():
                raise UserError(f"{path} does not hold what the row {group}/{name} chose: {CURE}")
    return dict(found)


def _score(
    root: Path, tasks: list[EditTask], name: str, row: Ablation, chosen: dict[str, Any]
) -> Scores:
    whole = read_banks(root, row.proposals, tasks=tasks)
    banks = [bank.part(points=row.points, sizes=row.sizes) for bank in whole]
    tables = read_judgements(root, row.proposals, tasks=tasks, banks=whole)
    judged = [_part(table, row) for table in tables]
    candidates_used = chosen["candidates_used"] or [
        count_candidates(row, bank, trained=None) for bank in banks
    ]
    choices = [[Choice(*pair) for pair in seeds] for seeds in chosen["choices"]]
    scores = score_choices(
        name, tasks, choices=choices, banks=banks, judged=judged, candidates_used=candidates_used,
        nfe=chosen.get("nfe"),
    )  # fmt: skip
    scores.values["expected_loss"] = np.array(chosen["expected"], dtype=np.float64)
    return scores


def _part(table: Judgements, row: Ablation) -> Judgements:
    """The judged candidates that a row sees."""
    columns = slice(None) if row.sizes is None else list(row.sizes)
    return {key: values[: row.points][:, columns] for key, values in table.items()}


def ablation_results(
    scores: dict[str, list[Scores]], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Group -> row -> metric -> mean, interval, and the paired difference to the first row; Holm's
    adjustment runs over each group."""
    return {group: _group(rows, resamples=resamples, seed=seed) for group, rows in scores.items()}


def _group(rows: list[Scores], *, resamples: int, seed: int) -> dict[str, Any]:
    first, tests = rows[0], {}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    keep = first.where()
    for row in rows:
        found[row.variant] = {
            key: {**cell(estimate(row.per_task(key)[keep], resamples=resamples, seed=seed))}
            for key in KEYS
        }
        for key in TESTED if row is not first else ():
            one = paired_difference(
                row.per_task(key)[keep],
                first.per_task(key)[keep],
                higher_is_better=bool(ABLATED[key].higher_is_better),
                resamples=resamples,
                seed=seed,
            )
            found[row.variant][key]["paired"] = asdict(one)
            tests[row.variant, key] = one.p
    known = {place: p for place, p in tests.items() if p is not None}
    for (name, key), p in zip(known, holm(list(known.values())), strict=True):
        found[name][key]["paired"]["holm_p"] = p
    return found
