"""The paper's images.json and our tasks.json; a true box is a mask."""

from __future__ import annotations

from pathlib import Path

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import find_listing, image_names
from lr_edit.workspace.tasks import read_tasks


def read_released(path: Path) -> Dataset:
    """Either list. UserError for what cannot be read."""
    path = find_listing(path, "tasks.json", "images.json")
    return Dataset(
        "released" if path.name == "images.json" else "tasks",
        tuple(
            Sample(
                task,
                path.parent / task.image,
                image_names(task.image, task.id),
                task.truth.box if task.truth else None,
            )
            for task in read_tasks(path)
        ),
    )
