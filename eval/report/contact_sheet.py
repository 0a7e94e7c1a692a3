"""Example edits of all variants -> reports/contact_sheet.png.

A row a task under its words; columns: the source with the true box, then for every variant the
chosen box on the source and the edit, both of the first seed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eval.metrics.registry import is_headline
from lr_edit.types import Box, EditTask
from lr_edit.workspace.storage import write_image

PANEL, GAP, WORDS, NOTE, HEAD = 128, 6, 20, 16, 44  # pixels
NARROWEST = 760  # so that a row's words have room
TRUTH, CHOSEN = "#ffd400", "#ff2fd0"
INK, GREY, GOOD, BAD = "#1a1a1a", "#6b6b6b", "#157a2e", "#b3261e"


@dataclass(frozen=True)
class ShownEdit:
    """One variant's edit of a task. `iou` and `success` are NaN where nothing is known."""

    box: Box
    edited: np.ndarray  # uint8 (H, W, 3)
    iou: float
    success: float


@dataclass(frozen=True)
class Row:
    """A task, its source (uint8, (H, W, 3)) and every variant's edit, in the sheet's order."""

    task: EditTask
    source: np.ndarray
    edits: tuple[ShownEdit, ...]
    note: str = ""


def example_tasks(tasks: Sequence[EditTask], *, count: int = 12) -> list[EditTask]:
    """Spread evenly over the headline, with one task of every category that is reported apart."""
    headline = [task for task in tasks if is_headline(task.category)]
    others = {task.category: task for task in reversed(tasks) if not is_headline(task.category)}
    apart = [others[name] for name in sorted(others)]
    wanted = min(count - len(apart), len(headline))
    places = np.linspace(0, len(headline) - 1, max(wanted, 0)).round().astype(int)
    return [headline[at] for at in dict.fromkeys(places.tolist())] + apart


def contact_sheet(
    path: Path, rows: Sequence[Row], *, variants: Sequence[str], caption: str
) -> None:
    """Write the sheet."""
    column = 2 * PANEL + 2 * GAP
    tall = WORDS + PANEL + NOTE + GAP
    width = max(GAP + PANEL + 2 * GAP + len(variants) * (column + GAP), NARROWEST)
    notes = textwrap.wrap(f"{_LEGEND} {caption}", width // 6)
    height = HEAD + len(rows) * tall + 2 * GAP + 16 * len(notes)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, HEAD - 20), "source", INK, _font(14))
    for at, name in enumerate(variants):
        draw.text((_left(at), HEAD - 38), name, INK, _font(14))
        draw.text((_left(at), HEAD - 18), "chosen box", GREY, _font(11))
        draw.text((_left(at) + PANEL + GAP, HEAD - 18), "edit", GREY, _font(11))
    for at, row in enumerate(rows):
        _draw_row(sheet, row, HEAD + at * tall)
    for at, line in enumerate(notes):
        draw.text((GAP, height - 16 * (len(notes) - at)), line, GREY, _font(11))
    write_image(path, np.asarray(sheet))


_LEGEND = (
    "Yellow: the true box. Pink: the chosen box. Under each edit: IoU with the true box, and "
    "whether the judge sees what was asked, with every bystander unchanged."
)  # fmt: skip


def _draw_row(sheet: Image.Image, row: Row, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    task = row.task
    words = f"{row.note}{task.id} ({task.category}): {task.source} to {task.prompt}"
    draw.text((GAP, top), words, INK, _font(13))
    truth = task.truth.box if task.truth else None
    sheet.paste(_panel(row.source, truth, TRUTH), (GAP, top + WORDS))
    for at, edit in enumerate(row.edits):
        left = _left(at)
        sheet.paste(_panel(row.source, edit.box, CHOSEN), (left, top + WORDS))
        sheet.paste(_panel(edit.edited, None, CHOSEN), (left + PANEL + GAP, top + WORDS))
        note = (left, top + WORDS + PANEL + 1)
        if not np.isnan(edit.iou):
            draw.text(note, f"IoU {edit.iou:.2f}", GREY, _font(11))
        if not np.isnan(edit.success):
            word, colour = ("success", GOOD) if edit.success else ("no success", BAD)
            draw.text((left + PANEL + GAP, note[1]), word, colour, _font(11))


def _panel(image: np.ndarray, box: Box | None, colour: str) -> Image.Image:
    """A square of PANEL pixels: small images pixel by pixel, large ones smoothly; box on top."""
    picture = Image.fromarray(image)
    smaller = max(picture.size) > PANEL
    how = Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
    panel = picture.resize((PANEL, PANEL), how)
    if box:
        dataset_net, down = PANEL / picture.width, PANEL / picture.height
        left, top = round(box.left * dataset_net), round(box.top * down)
        right, bottom = round(box.right * dataset_net) - 1, round(box.bottom * down) - 1
        corners = [left, top, max(right, left), max(bottom, top)]
        draw = ImageDraw.Draw(panel)
        draw.rectangle(corners, outline=colour, width=3)
        draw.rectangle(corners, outline="black")  # keeps the colour readable on any ground
    return panel


def _left(column: int) -> int:
    return GAP + PANEL + 3 * GAP + column * (2 * PANEL + 3 * GAP)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own: the same letters on every machine."""
    return ImageFont.load_default(size)
