"""What one finished variant left on disk -> series and pictures for a viewer.

    artifacts/scores/V.csv            per-image values
    artifacts/nets/V/curves.jsonl     one record per task and step
    artifacts/edits/V/                choices.json, ID.png
    artifacts/tables/SET              the chosen boxes; without them pictures carry no box

Reads only; a variant without a net has no curves, and an absent table costs the boxes alone.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from PIL import Image, ImageDraw

from lr_edit.tracking.rows import POWERS, VARIANTS, Row
from lr_edit.types import Box, EditTask
from lr_edit.workspace.storage import read_bank, read_choices, read_image, study_tasks

LEAST_SIDE = 192  # pixels per side at least: small worlds are enlarged, pixel by pixel
GAP = 8


@dataclass(frozen=True)
class Point:
    """One value of a series."""

    key: str
    value: float
    step: int = 0


def has_artifacts(root: Path, row: Row) -> bool:
    """Whether a row's own pictures lie on disk: a variant's where it was run or pulled."""
    places = [f"artifacts/edits/{row.name}/choices.json", "artifacts/tasks/tasks.json"]
    return row.question == VARIANTS and all((root / place).is_file() for place in places)


def read_series(root: Path, row: Row) -> list[Point]:
    """`per_image/METRIC`, whose step is the image's place in the study, and `train/QUANTITY`, whose
    step is the net's; empty without artifacts. UserError where a file is broken."""
    if not has_artifacts(root, row):
        return []
    order = {task.id: index for index, task in enumerate(study_tasks(root))}
    values = _per_image(root / f"artifacts/scores/{row.name}.csv", order)
    curves = _curves(root / "artifacts/nets" / row.name / "curves.jsonl")
    scaled = [Point(p.key, p.value * 10 ** POWERS.get(p.key, 0), p.step) for p in values]
    groups = {"per_image": scaled, "train": curves}
    return [
        Point(f"{group}/{point.key}", point.value, point.step)
        for group, points in groups.items()
        for point in points
    ]


def picture(root: Path, variant: str, *, task: EditTask, box: Box | None) -> Image.Image:
    """Source and edit side by side, the chosen box drawn on both."""
    source = read_image(root / "artifacts/tasks" / task.image)
    edited = read_image(root / "artifacts/edits" / variant / f"{task.id}.png")
    panels = [_boxed(Image.fromarray(image), box) for image in (source, edited)]
    width = sum(panel.width for panel in panels) + GAP
    sheet = Image.new("RGB", (width, max(panel.height for panel in panels)), "white")
    sheet.paste(panels[0], (0, 0))
    sheet.paste(panels[1], (panels[0].width + GAP, 0))
    return sheet


def chosen_boxes(root: Path, variant: str, *, proposals: str | None) -> dict[str, Box]:
    """Task id -> the box of the first seed's choice, for tasks whose table is on disk."""
    boxes = {}
    tables = root / "artifacts/tables" / str(proposals)
    for task, row in read_choices(root / "artifacts/edits" / variant / "choices.json").items():
        table = tables / f"{task}.safetensors"
        if row and table.is_file():
            left, top, right, bottom = read_bank(table).boxes[row[0].point, row[0].size]
            boxes[task] = Box(int(left), int(top), int(right), int(bottom))
    return boxes


def _boxed(image: Image.Image, box: Box | None) -> Image.Image:
    """Enlarged by a whole number; the box lies on the pixels just outside what was inpainted."""
    scale = max(1, -(-LEAST_SIDE // max(image.size)))
    large = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    if box:
        left, top, right, bottom = (side * scale for side in box.as_tuple())
        draw = ImageDraw.Draw(large)
        draw.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline="white", width=1)
        draw.rectangle((left - 1, top - 1, right, bottom), outline="black", width=1)
    return large


def _per_image(path: Path, order: dict[str, int]) -> list[Point]:
    """Means over seeds of the values that are numbers, one per metric and image."""
    values: dict[tuple[str, int], list[float]] = defaultdict(list)
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = _number(row.get("value"))
                if row.get("task") in order and _finite(value):
                    values[row["metric"], order[row["task"]]].append(value)
    return [Point(key, sum(v) / len(v), step) for (key, step), v in sorted(values.items())]


def _curves(path: Path) -> list[Point]:
    """Mean over tasks, one per quantity and step."""
    values: dict[tuple[str, int], list[float]] = defaultdict(list)
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            for key, value in record.items():
                if key not in ("task", "step", "seed") and _finite(value):
                    values[key, int(record["step"])].append(float(value))
    return [Point(key, sum(v) / len(v), step) for (key, step), v in sorted(values.items())]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
