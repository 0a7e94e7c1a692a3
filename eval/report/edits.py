"""reports/edits.jsonl and reports/gallery/: what every variant chose and made, kept in git.

A line of edits.jsonl is a task: its words, the true box, and for every variant the chosen box and
the verdict, of the first seed. gallery/ID.webp is its source and every variant's edit side by side,
so that a gallery of hundreds of edits is one request a task. Pages and sheets are made from these.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eval.metrics.box import box_iou
from eval.study.evaluate import read_judgements
from lr_edit.config import Config
from lr_edit.errors import UserError, shorten
from lr_edit.files import is_plain_name
from lr_edit.types import Box, EditTask, Label, Truth
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.storage import (
    atomic_write,
    read_banks,
    read_choices,
    read_image,
    study_edit,
    study_image,
)

QUALITY = 90  # of WebP: a quarter of PNG's bytes on textured ground


@dataclass(frozen=True)
class ShownEdit:
    """One variant's edit of a task; `success` is None where nothing is known."""

    box: Box
    edited: np.ndarray  # uint8 (side, side, 3)
    success: bool | None


@dataclass(frozen=True)
class Row:
    """A task, its source (uint8, (side, side, 3)) and the edits of some variants by name.

    Sheets show squares: a picture of another shape, (height, width), lies at the upper left of a
    white one.
    """

    task: EditTask
    source: np.ndarray
    edits: dict[str, ShownEdit]
    shape: tuple[int, int]
    note: str = ""

    def iou(self, name: str) -> float | None:
        """Of a variant's box with the true one; None where that is not known."""
        truth = self.task.truth and self.task.truth.box
        if not truth:
            return None
        chosen = self.edits[name].box.as_tuple()
        return float(box_iou(np.array(chosen), np.array(truth.as_tuple())))


def caption(task: EditTask) -> str:
    """What is asked, in short: `pink mushroom → blue mushroom`; a photo has its whole prompt."""
    source = task.source.removeprefix("a ").removeprefix("an ")
    if task.category == "remove":
        return f"{source} → nothing"
    wanted = task.truth.wanted if task.truth else None
    return f"{source} → {f'{wanted.colour} {wanted.kind}' if wanted else task.prompt}"


def collect_rows(
    root: Path, config: Config, *, tasks: Sequence[EditTask], variants: Sequence[str]
) -> list[Row]:
    """From artifacts/: a row per task with the first seed's edit of every variant."""
    shown = {name: _collect(root, config, list(tasks), name) for name in variants}
    sources = [study_image(root, task).transpose(1, 2, 0) for task in tasks]
    return [
        Row(
            task=task,
            source=_on_white(np.ascontiguousarray(source)),
            edits={name: shown[name][at] for name in variants},
            shape=(source.shape[0], source.shape[1]),
        )
        for at, (task, source) in enumerate(zip(tasks, sources, strict=True))
    ]


def _on_white(image: np.ndarray) -> np.ndarray:
    side = max(image.shape[:2])
    beyond = [(0, side - length) for length in image.shape[:2]]
    return np.pad(image, [*beyond, (0, 0)], constant_values=255) if np.any(beyond) else image


def write_rows(reports: Path, rows: Sequence[Row]) -> None:
    """Fill edits.jsonl and gallery/."""
    with new_folder(reports / "gallery") as folder:
        for row in rows:
            strip = np.concatenate([row.source, *(e.edited for e in row.edits.values())], axis=1)
            place = folder / f"{row.task.id}.webp"
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(place) as part:
                Image.fromarray(strip).save(part, format="WEBP", quality=QUALITY, method=4)
    with atomic_write(reports / "edits.jsonl") as part:
        lines = (json.dumps(_as_record(row)) + "\n" for row in rows)
        part.write_text("".join(lines), encoding="utf-8")


def read_rows(reports: Path, *, variants: Sequence[str]) -> list[Row]:
    """What `write_rows` kept, in its order. UserError where a file is missing or is another
    study's."""
    try:
        lines = (reports / "edits.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(
            f"{reports / 'edits.jsonl'} is missing: run the stage report (dvc repro)"
        ) from error
    except UnicodeDecodeError:
        lines = []
    try:
        if not lines:
            raise ValueError("it is empty, or no text")
        return [_read_row(reports, json.loads(line), variants) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{reports / 'edits.jsonl'} holds no edits ({shorten(error)}): `git checkout` it, or "
            "run `dvc repro report`"
        ) from error


def _read_row(reports: Path, record: dict, variants: Sequence[str]) -> Row:
    if not (isinstance(record["id"], str) and is_plain_name(record["id"])):
        raise ValueError(f"the id {shorten(record['id'])} names no task")
    if set(record["edits"]) != set(variants):
        raise UserError(
            f"{reports / 'edits.jsonl'}: task {record['id']} has the edits of other variants than "
            "params.yaml: run the stage report (dvc repro)"
        )
    place = reports / "gallery" / f"{record['id']}.webp"
    strip = read_image(place)
    side = strip.shape[0]
    panels = strip.shape[1] // side
    if panels != 1 + len(variants):
        raise UserError(
            f"{place} shows {panels - 1} edits, and params.yaml has {len(variants)} variants: run "
            "the stage report (dvc repro)"
        )
    source, *edits = np.split(strip, panels, axis=1)  # in the order of the record's edits
    box, wanted = record["truth"], record["wanted"]
    truth = Truth(Box(*box) if box else None, Label(**wanted) if wanted else None)
    task = EditTask(
        record["id"], place, record["source"], record["prompt"], record["category"], truth=truth
    )
    shown = {
        name: ShownEdit(Box(*one["box"]), edit, one["success"])
        for (name, one), edit in zip(record["edits"].items(), edits, strict=True)
    }
    high, wide = record.get("shape", (side, side))
    return Row(task, source, shown, (high, wide))


def _as_record(row: Row) -> dict:
    task, truth = row.task, row.task.truth
    return {
        "id": task.id,
        "category": task.category,
        "source": task.source,
        "prompt": task.prompt,
        "wanted": asdict(truth.wanted) if truth and truth.wanted else None,
        "truth": list(truth.box.as_tuple()) if truth and truth.box else None,
        **({} if row.shape == row.source.shape[:2] else {"shape": row.shape}),
        "edits": {
            name: {"box": list(one.box.as_tuple()), "success": one.success}
            for name, one in row.edits.items()
        },
    }


def _collect(root: Path, config: Config, tasks: list[EditTask], name: str) -> list[ShownEdit]:
    proposals = config.variant(name).proposals
    choices = read_choices(root / "artifacts/edits" / name / "choices.json")
    banks = read_banks(root, proposals, tasks=tasks)
    found = []
    tables = read_judgements(root, proposals, tasks=tasks, banks=banks)
    for task, bank, judged in zip(tasks, banks, tables, strict=True):
        at = (choices[task.id][0].point, choices[task.id][0].size)
        success = float(judged["success"][at])
        found.append(
            ShownEdit(
                box=Box(*map(int, bank.boxes[at])),
                edited=_on_white(study_edit(root, name, task=task).transpose(1, 2, 0)),
                success=None if np.isnan(success) else bool(success),
            )
        )
    return found
