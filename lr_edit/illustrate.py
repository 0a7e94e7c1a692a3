"""What a person is shown of an edit: where the models look, every box, the mask, and the command
that repeats it. Pictures for a screen are copies; nothing here changes an edit."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw

from lr_edit.editor import Editor
from lr_edit.framed_models import Canvas
from lr_edit.frozen.images import resize_to_side
from lr_edit.modes import as_canvas, find_detected, find_grounded
from lr_edit.request import Picture, Request
from lr_edit.result import EditResult
from lr_edit.types import Box

SMALL, LARGE = 512, 1280  # pixels of a picture's longer side on a screen
CHOSEN, OTHER, EDGE = "#e4003a", "#ffffff", "#202020"


@dataclass(frozen=True)
class Places:
    """Where an edit may be, before anything is inpainted.

    attention  DINO's, 0 to 1, of the picture at the models' size (rows, cols)
    boxes      those found by the source words, the best first, in pixels of the picture
    finder     who found them, "A detector" or "CLIP"; None: nobody, and boxes are raced for
    """

    attention: np.ndarray
    boxes: tuple[Box, ...]
    finder: str | None


def find_places(editor: Editor, picture: Picture, *, request: Request) -> Places:
    """Attention, and the boxes for the source words: the detector's in the mode that asks it, else
    CLIP's; looked for in the very square in which the edit is."""
    canvas = as_canvas(picture, request, profile=editor.config.models)
    job, finder = editor.prepare(canvas, request), "A detector"
    found = find_detected(job) if request.mode == "detected" else None
    if found is None:
        found, finder = find_grounded(job), "CLIP"
    if found is None:
        small = resize_to_side(canvas.square, side=editor.config.models.attention_side)
        return Places(_in_photo(job.models.anchors.attention(small)[0], canvas), (), None)
    maps, _, boxes = found
    places = tuple(canvas.place(Box(*row)) for row in boxes.flatten(0, 1).tolist())
    return Places(_in_photo(maps.attention, canvas), places, finder)


def draw_attention(picture: Image.Image, attention: np.ndarray) -> Image.Image:
    """The picture, as bright as it is attended to."""
    shown = fit_to_screen(picture)
    light = Image.fromarray((255 * attention).round().astype(np.uint8))
    light = light.resize(shown.size, Image.Resampling.BICUBIC)
    share = 0.15 + 0.85 * np.asarray(light, np.float32)[..., None] / 255
    return Image.fromarray((share * np.asarray(shown)).round().astype(np.uint8))


def draw_boxes(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The picture with boxes in its pixels, the best first, which is drawn last and in red."""
    shown = fit_to_screen(picture)
    pen, scale = ImageDraw.Draw(shown), shown.width / picture.width
    line = max(2, round(max(shown.size) / 200))
    for place, box in reversed(list(enumerate(boxes))):
        left, top, right, bottom = (round(side * scale) for side in box.as_tuple())
        right, bottom = max(right, left + 4), max(bottom, top + 4)
        for edge, colour in ((0, EDGE), (1, OTHER if place else CHOSEN)):  # seen on white too
            corners = (left + edge, top + edge, right - 1 - edge, bottom - 1 - edge)
            pen.rectangle(corners, outline=colour, width=line + 2 - 2 * edge)
    return shown


def draw_mask(result: EditResult) -> Image.Image:
    """White where the picture was edited, at the picture's size."""
    mask = Image.new("L", result.image.size)
    left, top, right, bottom = result.box.as_tuple()
    mask.paste(255, (left, top, right, bottom))
    return mask


def fit_to_screen(picture: Image.Image) -> Image.Image:
    """A copy of a size to be looked at: drawings keep their pixels, photos are made smaller."""
    longer = max(picture.size)
    if longer > LARGE:
        size = [max(1, round(side * LARGE / longer)) for side in picture.size]
        return picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)
    times = max(1, SMALL // longer)
    size = [side * times for side in picture.size]
    return picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.NEAREST)


def write_command(
    request: Request, image: str, *, profile: str | None = None, force: bool = False
) -> str:
    """The command line that makes the same edit again."""
    words = ["lr-edit", *(["--profile", profile] if profile else []), "edit", image]
    words += ["--source", request.source, "--prompt", request.prompt, "--mode", request.mode]
    words += ["--budget", str(request.budget)] if request.budget else []
    words += ["--seed", str(request.seed), *(["--force"] if force else [])]
    return shlex.join(words)


def _in_photo(attention: torch.Tensor, canvas: Canvas) -> np.ndarray:
    """The part of a map of the square that is the photo."""
    light = Image.fromarray(_spread(attention.cpu().numpy()).astype(np.float32))
    square = light.resize((canvas.side, canvas.side), Image.Resampling.BICUBIC)
    return np.asarray(square.crop(canvas.part.as_tuple())).clip(0, 1)


def _spread(values: np.ndarray) -> np.ndarray:
    """From 0 for the least to 1 for the greatest."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / max(high - low, 1e-9)
