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
from eval.statistics import estimate
from eval.study.ablations import read_chosen
from eval.study.diagnosis import diagnose, reach
from eval.study.evaluate import Judgements, cell, read_judgements
from eval.study.preferences import preferences
from eval.study.scores import Scores, read_scores
from lr_edit.config import Config
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import (
    read_banks,
    read_choices,
    read_tensors,
    study_tasks,
)

WORST = 10  # failures that are shown
EXAMPLES = 6  # rows of the anatomy
DEFAULT = "default"  # the group of what `lr-edit edit` does without a detector


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
        read_judgements(root, proposals, tasks=headline, banks=banks),
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
        "reach": _reach(root, config, headline),
        "worst": [{"task": one.task, "cause": one.cause} for one in worst],
        "preferences": preferences(ours, others, resamples=study.resamples, seed=study.seed),
    }


def _reach(root: Path, config: Config, tasks: Sequence[EditTask]) -> dict[str, Any]:
    """What each row would reach if it did one thing perfectly: the variants that pick a size at
    every anchor, and the rows of the group `default` that choose among all of their candidates."""
    truth = [name for name, row in config.proposals.items() if row.anchors == "truth"]
    true_box = _judged(root, truth[0], tasks) if truth else None

    def row_of(proposals: str, choices: list[Choice], picked: list[Any]) -> dict[str, Any]:
        found = reach(
            _judged(root, proposals, tasks), choices=choices, picked=picked, truth=true_box
        )  # fmt: skip
        study = config.study
        return {
            what: cell(estimate(values, resamples=study.resamples, seed=study.seed))
            for what, values in found.items()
        }

    found = {}
    for name, row in config.variants.items():
        if row.choose in ("net", "table", "fixed"):
            banks = read_banks(root, row.proposals, tasks=list(tasks))
            made = read_choices(root / "artifacts/edits" / name / "choices.json")
            choices = [made[task.id][0] for task in tasks]
            tables = _probabilities(root, config, name, tasks, banks, choices)
            picked = [table.argmax(-1) for table in tables]
            found[name] = row_of(row.proposals, choices, picked)
    if rows := config.ablations.get(DEFAULT):
        made = read_chosen(root, config)[DEFAULT]
        places = [at for at, one in enumerate(study_tasks(root)) if one in tasks]
        for name, row in rows.items():
            if row.choose == "best" and row.points is None and name not in found:
                choices = [Choice(*made[name]["choices"][at][0]) for at in places]
                found[name] = row_of(row.proposals, choices, [None] * len(tasks))
    return found


def _judged(root: Path, proposals: str, tasks: Sequence[EditTask]) -> list[Judgements]:
    banks = read_banks(root, proposals, tasks=list(tasks))
    return read_judgements(root, proposals, tasks=tasks, banks=banks)


def _probabilities(
    root: Path,
    config: Config,
    name: str,
    tasks: Sequence[EditTask],
    banks: Sequence[Bank],
    choices: Sequence[Choice],
) -> list[np.ndarray]:
    """(points, sizes) a task, highest at the size that each anchor got: the net's, less the loss
    where the table picked, or the chosen size at all anchors."""
    variant = config.variant(name)
    if variant.choose == "net":
        nets = read_tensors(root / "artifacts/nets" / name / "probabilities.safetensors")
        return [nets[task.id][0] for task in tasks]
    if variant.choose == "table":
        return [np.nan_to_num(-bank.loss(variant.losses), nan=-np.inf) for bank in banks]
    sizes = [np.eye(bank.boxes.shape[1]) for bank in banks]
    return [
        np.tile(eye[choice.size], (len(bank.boxes), 1))
        for eye, bank, choice in zip(sizes, banks, choices, strict=True)
    ]
