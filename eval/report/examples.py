"""What sheets of examples show, read from artifacts/: sources, chosen boxes, edits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.report.contact_sheet import Row, ShownEdit
from eval.study.evaluate import read_judgements
from lr_edit.config import Config
from lr_edit.types import Box, EditTask
from lr_edit.workspace.storage import read_banks, read_choices, read_image, study_image


def sheet_rows(
    root: Path, config: Config, *, tasks: Sequence[EditTask], variants: Sequence[str]
) -> list[Row]:
    """A row a task with the first seed's edit of every variant."""
    shown = {name: _shown(root, config, list(tasks), name) for name in variants}
    return [
        Row(
            task=task,
            source=np.ascontiguousarray(study_image(root, task).transpose(1, 2, 0)),
            edits=tuple(shown[name][at] for name in variants),
        )
        for at, task in enumerate(tasks)
    ]


def _shown(root: Path, config: Config, tasks: list[EditTask], name: str) -> list[ShownEdit]:
    proposals = config.variant(name).proposals
    choices = read_choices(root / "artifacts/edits" / name / "choices.json")
    banks = read_banks(root, proposals, tasks=tasks)
    found = []
    for task, bank, judged in zip(
        tasks, banks, read_judgements(root, proposals, tasks=tasks), strict=True
    ):
        at = (choices[task.id][0].point, choices[task.id][0].size)
        found.append(
            ShownEdit(
                box=Box(*map(int, bank.boxes[at])),
                edited=read_image(root / "artifacts/edits" / name / f"{task.id}.png"),
                iou=float(judged["iou"][at]),
                success=float(judged["success"][at]),
            )
        )
    return found
