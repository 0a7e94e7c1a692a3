"""edit@variant: banks, and probabilities where a net chooses -> one candidate per task and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lr_edit.choose import best_of_bank, best_of_sample, choose, pick_sizes
from lr_edit.config import Config
from lr_edit.types import Bank, Choice
from lr_edit.variant import Variant
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.storage import (
    read_banks,
    read_candidates,
    read_tensors,
    study_tasks,
    write_choices,
    write_image,
)


def run(root: Path, config: Config, *, name: str) -> None:
    """Choose for every task and seed; keep the first seed's edit as an image."""
    with new_folder(root / "artifacts/edits" / name) as out:
        _write(root, config, name, out=out)


def _write(root: Path, config: Config, name: str, *, out: Path) -> None:
    variant, tasks = config.variant(name), study_tasks(root)
    nets = root / "artifacts/nets" / name / "probabilities.safetensors"
    probabilities = read_tensors(nets) if variant.choose == "net" else {}
    choices = {}
    for task, bank in zip(tasks, read_banks(root, variant.proposals, tasks=tasks), strict=True):
        choices[task.id] = [
            choose_one(variant, bank, task=task.id, seed=seed, probabilities=table)
            for seed, table in _per_seed(variant, probabilities.get(task.id))
        ]
        first = choices[task.id][0]
        candidates = read_candidates(root, variant.proposals, task=task, bank=bank)
        write_image(out / f"{task.id}.png", candidates[first.point, first.size].transpose(1, 2, 0))
    write_choices(out / "choices.json", choices)


def choose_one(
    variant: Variant, bank: Bank, *, task: str, seed: int, probabilities: np.ndarray | None
) -> Choice:
    """By the variant's rule: a size at every anchor and then the best anchor, or any candidate."""
    rng = np.random.default_rng([seed, *task.encode()])
    how: dict[str, Any] = {"rank": variant.rank, "weights": variant.losses}
    if variant.choose == "best":
        return best_of_bank(bank, **how)
    if variant.choose == "sample":
        return best_of_sample(bank, variant.draws, rng=rng, **how)
    sizes = pick_sizes(
        variant.choose,
        bank,
        probabilities=probabilities,
        size=variant.size,
        weights=variant.losses,
        rng=rng,
    )
    return choose(bank, sizes, **how)


def _per_seed(
    variant: Variant, probabilities: np.ndarray | None
) -> list[tuple[int, np.ndarray | None]]:
    """(seed, its probabilities or None)."""
    tables = [None] * variant.seeds if probabilities is None else list(probabilities)
    return list(enumerate(tables))
