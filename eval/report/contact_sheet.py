"""Example edits of all variants -> reports/contact_sheet.png, worst.png and showcase.png.

A row per task under its words; columns: the source with the true box, then for every variant the
chosen box on the source and the edit, both of the first seed.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eval.metrics.registry import is_headline
from eval.report.edits import Row, caption
from lr_edit.types import Box, EditTask
from lr_edit.workspace.storage import write_image

PANEL, GAP, WORDS, NOTE, HEAD, LINE = 128, 6, 20, 16, 56, 15  # pixels
NARROWEST = 760  # so that a row's words have room
TRUTH, CHOSEN = "#ffd400", "#ff2fd0"
INK, GREY, GOOD, BAD = "#1a1a1a", "#6b6b6b", "#157a2e", "#b3261e"


def example_tasks(tasks: Sequence[EditTask], *, count: int = 12) -> list[EditTask]:
    """Spread evenly over the headline, with one task of every category that is reported apart."""
    headline = [task for task in tasks if is_headline(task.category)]
    others = {task.category: task for task in reversed(tasks) if not is_headline(task.category)}
    apart = [others[name] for name in sorted(others)]
    wanted = min(count - len(apart), len(headline))
    places = np.linspace(0, len(headline) - 1, max(wanted, 0)).round().astype(int)
    return [headline[at] for at in dict.fromkeys(places.tolist())] + apart


def contact_sheet(
    path: Path, rows: Sequence[Row], *, variants: Mapping[str, str], note: str
) -> None:
    """Write the sheet; `variants` maps those that are shown to their titles."""
    column = 2 * PANEL + 2 * GAP
    tall = WORDS + PANEL + NOTE + GAP
    columns = GAP + PANEL + 2 * GAP + len(variants) * (column + GAP)
    width = max(columns, NARROWEST, *(_width_of(_words_of(row)) for row in rows))
    notes = textwrap.wrap(f"{_LEGEND} {note}", width // 6)
    titles = {
        name: textwrap.wrap(title if title == name else f"{title} ({name})", 2 * PANEL // 6)
        for name, title in variants.items()
    }
    head = HEAD + LINE * max(0, max(map(len, titles.values()), default=0) - 2)
    height = head + len(rows) * tall + 2 * GAP + 16 * len(notes)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, head - 20), "source", INK, _font(13))
    for at, lines in enumerate(titles.values()):
        draw.text((_left(at), 4), "\n".join(lines), INK, _font(12))
        draw.text((_left(at), head - 18), "chosen box", GREY, _font(11))
        draw.text((_left(at) + PANEL + GAP, head - 18), "edit", GREY, _font(11))
    for at, row in enumerate(rows):
        _draw_row(sheet, row, head + at * tall, names=list(variants))
    for at, line in enumerate(notes):
        draw.text((GAP, height - 16 * (len(notes) - at)), line, GREY, _font(11))
    write_image(path, np.asarray(sheet))


_LEGEND = (
    "Yellow: the true box. Pink: the chosen box. Under each edit: IoU with the true box, and "
    "whether the evaluation networks find that it succeeds."
)  # fmt: skip


def _draw_row(sheet: Image.Image, row: Row, top: int, *, names: Sequence[str]) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, top), _words_of(row), INK, _font(13))
    truth = row.task.truth.box if row.task.truth else None
    sheet.paste(draw_panel(row.source, truth, colour=TRUTH), (GAP, top + WORDS))
    for at, name in enumerate(names):
        left, edit, iou = _left(at), row.edits[name], row.iou(name)
        sheet.paste(draw_panel(row.source, edit.box), (left, top + WORDS))
        sheet.paste(draw_panel(edit.edited, None), (left + PANEL + GAP, top + WORDS))
        note = (left, top + WORDS + PANEL + 1)
        if iou is not None:
            draw.text(note, f"IoU {iou:.2f}", GREY, _font(11))
        if edit.success is not None:
            word, colour = ("success", GOOD) if edit.success else ("no success", BAD)
            draw.text((left + PANEL + GAP, note[1]), word, colour, _font(11))


def _words_of(row: Row) -> str:
    task, edit = row.task, caption(row.task).replace("→", "to")
    return f"{row.note}{edit} ({task.id}, {task.category}): {task.prompt}"


def _width_of(words: str) -> int:
    return 2 * GAP + math.ceil(_font(13).getlength(words))


def show_worst(
    path: Path, worst: Sequence[tuple[Row, str]], *, variants: Mapping[str, str], note: str
) -> None:
    """The sheet of failures; each is a row and its cause."""
    rows = [replace(row, note=f"{cause}: ") for row, cause in worst]
    contact_sheet(path, rows, variants=variants, note=note)


def showcase(path: Path, rows: Sequence[Row], *, variant: str) -> None:
    """Before and after, two rows of pairs under their words, twice as wide as README shows it."""
    side, gap, words, columns = 256, 12, 44, 3
    wide, tall = 2 * side + gap, side + words
    lines = max(-(-len(rows) // columns), 1)
    size = (columns * (wide + 3 * gap) - 2 * gap, lines * (tall + gap))
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    if not rows:
        draw.text((gap, gap), "No edit of this study succeeds.", INK, _font(30))
    for at, row in enumerate(rows):
        left, top = (at % columns) * (wide + 3 * gap), (at // columns) * (tall + gap)
        draw.text((left, top + 4), caption(row.task).replace("→", "to"), INK, _font(30))
        edit = row.edits[variant]
        before = draw_panel(row.source, edit.box, side=side)
        picture.paste(before, (left, top + words))
        picture.paste(draw_panel(edit.edited, None, side=side),
                      (left + side + gap, top + words))  # fmt: skip
    write_image(path, np.asarray(picture))


def draw_panel(
    image: np.ndarray, box: Box | None, *, colour: str = CHOSEN, side: int = PANEL
) -> Image.Image:
    """A square of so many pixels: small images pixel by pixel, large ones smoothly; box on top."""
    picture = Image.fromarray(image)
    smaller = max(picture.size) > side
    how = Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
    panel = picture.resize((side, side), how)
    if box:
        across, down = side / picture.width, side / picture.height
        left, top = round(box.left * across), round(box.top * down)
        right, bottom = round(box.right * across) - 1, round(box.bottom * down) - 1
        corners = [left, top, max(right, left), max(bottom, top)]
        draw = ImageDraw.Draw(panel)
        draw.rectangle(corners, outline=colour, width=3 * side // PANEL)
        draw.rectangle(corners, outline="black")  # keeps the colour readable on any ground
    return panel


def _left(column: int) -> int:
    return GAP + PANEL + 3 * GAP + column * (2 * PANEL + 3 * GAP)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own: the same letters on every machine."""
    return ImageFont.load_default(size)
