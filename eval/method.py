"""The variant that stands for the method: why it fails, how it sizes, how often it is preferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.conventions import caption, is_headline
from eval.diagnosis import counts, diagnose, sizes_figure
from eval.evaluate import read_judgements
from eval.examples import sheet_rows
from eval.preferences import preferences
from eval.scores import Scores, read_scores
from eval.sheet import contact_sheet
from lr_edit.config import Config
from lr_edit.storage import read_banks, read_choices, read_tensors
from lr_edit.types import Bank, Choice, EditTask

WORST = 10  # edits on the sheet


def describe_method(
    root: Path, config: Config, tasks: Sequence[EditTask], *, others: Sequence[Scores]
) -> dict[str, Any]:
    """Write reports/worst.png and sizes.png; what results.json says of the method.

    It is the first variant that learns, or else the first.
    """
    learns = [name for name, row in config.variants.items() if row.learner != "none"]
    name, study = (learns or list(config.variants))[0], config.study
    headline = [task for task in tasks if is_headline(task.category)]
    proposals = config.variant(name).proposals
    banks = read_banks(root, proposals, headline)
    chosen = read_choices(root / "artifacts/edits" / name / "choices.json")
    choices = [chosen[task.id][0] for task in headline]
    found = diagnose(
        headline,
        read_judgements(root, proposals, headline),
        choices=choices,
        picked=_picked(root, config, name, headline, banks, choices),
    )
    note = caption(world=config.models.world, profile=config.profile)
    sizes = root / "reports/sizes.png"
    sizes_figure(sizes, headline, banks, choices, method=name, caption=note)
    worst = sorted(found, key=lambda one: one.worth)[:WORST]
    by_id = {task.id: task for task in headline}
    rows = sheet_rows(root, config, [by_id[one.task] for one in worst], variants=[name])
    rows = [replace(row, note=f"{one.cause}: ") for row, one in zip(rows, worst, strict=True)]
    contact_sheet(root / "reports/worst.png", rows, variants=[name], caption=note)
    ours = read_scores(root / "artifacts/scores" / f"{name}.csv")
    return {
        "name": name,
        "causes": counts(found),
        "preferences": preferences(ours, others, resamples=study.resamples, seed=study.seed),
    }


def _picked(
    root: Path,
    config: Config,
    name: str,
    tasks: Sequence[EditTask],
    banks: Sequence[Bank],
    choices: Sequence[Choice],
) -> list[np.ndarray]:
    """A size an anchor, (points,) a task: what a net picked; elsewhere the chosen size at all."""
    if config.variant(name).choose != "net":
        return [np.full(len(b.boxes), c.size) for b, c in zip(banks, choices, strict=True)]
    nets = read_tensors(root / "artifacts/nets" / name / "probabilities.safetensors")
    return [nets[task.id][0].argmax(-1) for task in tasks]
