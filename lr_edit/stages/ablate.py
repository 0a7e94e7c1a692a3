"""ablate: banks -> what every row of `ablations` chooses, in one process.

Reads tables, paints nothing. Candidates are shared, so that rows differ by their rule alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lr_edit.config import Ablation, Config
from lr_edit.stages.edit import choose_one
from lr_edit.storage import read_banks, study_tasks, write_json
from lr_edit.types import Bank, EditTask, Track


def run(root: Path, config: Config, *, track: Track) -> None:
    """Write artifacts/ablations.json: group -> row -> {choices, paid}, tasks in order."""
    tasks = study_tasks(root)
    rows = [
        (group, name, row)
        for group, table in config.ablations.items()
        for name, row in table.items()
    ]
    found: dict[str, dict[str, Any]] = {group: {} for group in config.ablations}
    for group, name, row in track(rows, "ablations", len(rows)):
        banks = [
            bank.part(points=row.points, sizes=row.sizes)
            for bank in read_banks(root, row.proposals, tasks)
        ]
        found[group][name] = _row(row, tasks, banks, config)
    write_json(root / "artifacts/ablations.json", found)


def _row(row: Ablation, tasks: list[EditTask], banks: list[Bank], config: Config) -> dict[str, Any]:
    """choices: (tasks, seeds, 2) point and size within the part; paid: what a net read, or None."""
    probabilities, paid = _learn(row, tasks, banks, config) if row.choose == "net" else ([], None)
    choices = [
        [
            choose_one(
                row,
                bank,
                task=task.id,
                seed=seed,
                probabilities=probabilities[seed][at] if probabilities else None,
            )
            for seed in range(row.seeds)
        ]
        for at, (task, bank) in enumerate(zip(tasks, banks, strict=True))
    ]
    return {
        "choices": [[[one.point, one.size] for one in seeds] for seeds in choices],
        "paid": paid,
    }


def _learn(
    row: Ablation, tasks: list[EditTask], banks: list[Bank], config: Config
) -> tuple[list[list[np.ndarray]], list[int]]:
    """Probabilities by seed and task, and the candidates each task's net read."""
    from lr_edit.editor import learn_sizes  # torch is for rows that have a net

    names, side = [task.id for task in tasks], config.models.side
    nets = [
        list(learn_sizes(names, banks, row, side=side, seed=config.study.seed + seed))
        for seed in range(row.seeds)
    ]
    paid = [net.paid or len(bank.losses) for net, bank in zip(nets[0], banks, strict=True)]
    return [[net.probabilities.numpy() for net in seed] for seed in nets], paid
