"""The variant that stands for the method: why it fails, how it sizes, how often it is preferred."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.registry import describe_world, is_headline
from eval.report.anatomy import Example, draw_anatomy
from eval.report.contact_sheet import example_tasks
from eval.report.edits import collect_rows
from eval.study.diagnosis import counts, diagnose
from eval.study.evaluate import read_judgements
from eval.study.preferences import preferences
from eval.study.scores import Scores, read_scores
from lr_edit.config import Config
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import read_banks, read_choices, read_tensors

WORST = 10  # failures that are shown
EXAMPLES = 6  # rows of the anatomy


def describe_method(
    root: Path, config: Config, *, tasks: Sequence[EditTask], others: Sequence[Scores]
) -> dict[str, Any]:
    """Write reports/anatomy.png; what results.json says of the method.

    It is the first variant that learns, or else the first.
    """
    learns = [name for name, row in config.variants.items() if row.learner != "none"]
    name, study = (learns or list(config.variants))[0], config.study
    headline = [task for task in tasks if is_headline(task.category)]
    proposals = config.variant(name).proposals
    banks = read_banks(root, proposals, tasks=headline)
    chosen = read_choices(root / "artifacts/edits" / name / "choices.json")
    choices = [chosen[task.id][0] for task in headline]
    probabilities = _probabilities(root, config, name, headline, banks, choices)
    found = diagnose(
        headline,
        read_judgements(root, proposals, tasks=headline),
        choices=choices,
        picked=[table.argmax(-1) for table in probabilities],
    )
    shown = [headline.index(task) for task in example_tasks(headline, count=EXAMPLES)]
    rows = collect_rows(root, config, tasks=[headline[at] for at in shown], variants=[name])
    examples = [
        Example(row, banks[at], probabilities[at], choices[at])
        for row, at in zip(rows, shown, strict=True)
    ]
    note = describe_world(world=config.models.world, profile=config.profile)
    draw_anatomy(reports_folder(root) / "anatomy.png", examples, variant=name, note=note)
    worst = sorted(found, key=lambda one: one.worth)[:WORST]
    ours = read_scores(root / "artifacts/scores" / f"{name}.csv")
    return {
        "name": name,
        "causes": counts(found),
        "worst": [{"task": one.task, "cause": one.cause} for one in worst],
        "preferences": preferences(ours, others, resamples=study.resamples, seed=study.seed),
    }


def _probabilities(
    root: Path,
    config: Config,
    name: str,
    tasks: Sequence[EditTask],
    banks: Sequence[Bank],
    choices: Sequence[Choice],
) -> list[np.ndarray]:
    """The net's (points, sizes) a task; elsewhere the chosen size at all anchors."""
    if config.variant(name).choose == "net":
        nets = read_tensors(root / "artifacts/nets" / name / "probabilities.safetensors")
        return [nets[task.id][0] for task in tasks]
    sizes = [np.eye(bank.boxes.shape[1]) for bank in banks]
    return [
        np.tile(eye[choice.size], (len(bank.boxes), 1))
        for eye, bank, choice in zip(sizes, banks, choices, strict=True)
    ]
