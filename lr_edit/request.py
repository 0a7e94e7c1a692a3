"""What a person hands to `Editor` or to `lr-edit edit`, checked before anything heavy is loaded:
a picture of any kind, words, boxes, a mode and what it may cost."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from lr_edit.errors import UserError, suggest_name
from lr_edit.profiles import Profile
from lr_edit.types import Box, Merit
from lr_edit.workspace.storage import read_image

Mode = Literal["grounded", "race", "enumerate", "amortised", "paper"]
MODES: tuple[Mode, ...] = get_args(Mode)
WITHIN_BUDGET = ("grounded", "race", "amortised")  # the others inpaint every box


@dataclass(frozen=True)
class Picture:
    """Pixels, RGB uint8 (height, width, 3), and the file they came from, where there is one."""

    pixels: np.ndarray
    path: Path | None

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]


@dataclass(frozen=True)
class Request:
    """How one picture is to be edited; UserError where that cannot be."""

    source: str
    prompt: str
    mode: Mode = "grounded"
    budget: int | None = None
    rank: Merit | None = None
    boxes: tuple[Box, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, words in (("source", self.source), ("prompt", self.prompt)):
            if not (isinstance(words, str) and words.strip()):
                raise UserError(
                    f"the {name} may not be empty: say what to edit, and into what picture"
                )
        if self.mode not in MODES:
            raise UserError(f"unknown mode {self.mode!r}{suggest_name(str(self.mode), MODES)}")
        if self.rank not in (None, "S", "loss"):
            raise UserError(f"rank {self.rank!r}: the best is best by 'S' or by 'loss'")
        if self.boxes is not None and (
            self.budget is not None or self.mode not in ("grounded", "race")
        ):
            raise UserError(
                "boxes of your own are all inpainted: leave out the mode and the budget"
            )
        if self.boxes is not None and not self.boxes:
            raise UserError("no box: give one at least, or leave boxes out")
        if self.budget is not None and self.mode not in WITHIN_BUDGET:
            modes = ", ".join(WITHIN_BUDGET)
            raise UserError(f"a budget is for the modes {modes}: {self.mode} inpaints every box")
        if self.budget is not None and self.budget < 1:
            raise UserError(f"a budget of {self.budget} UNet evaluations buys nothing")
        if self.seed < 0:
            raise UserError(f"seed {self.seed}: a seed is a whole number from 0")


def read_picture(image: Any) -> Picture:
    """A picture of any kind.

    Args:
        image: A path; a PIL picture; an array (height, width, 3), uint8 or float in [0, 1]; a
            tensor (3, height, width) or (1, 3, height, width), likewise. One channel is grey, four
            are RGB and opacity.

    Returns:
        Its pixels, upright, in RGB.

    Raises:
        UserError: For what cannot be read as a picture.
    """
    if isinstance(image, str | PathLike):
        return _read_file(fspath(image))
    if isinstance(image, Image.Image):
        return Picture(_from_pil(image), None)
    if hasattr(image, "detach"):  # a tensor, without importing torch
        tensor = image.detach().cpu()
        kept = tensor if str(tensor.dtype) == "torch.uint8" else tensor.float()
        image = _channels_last(kept.numpy())
    if isinstance(image, np.ndarray):
        return Picture(_from_pil(Image.fromarray(_as_bytes(image))), None)
    raise UserError(
        f"{type(image).__name__} is no picture: give a path, a PIL picture, an array or a tensor"
    )


def check_picture(
    picture: Picture, profile: Profile, *, boxes: Sequence[Box] = (), force: bool = False
) -> None:
    """UserError for what the profile's models cannot edit: a box that leaves the picture, or is
    smaller than a cell of the inpainter; without `force`, a photo by picture-book weights."""
    width, height, side = picture.width, picture.height, profile.side
    name = str(picture.path or "the picture")
    if profile.world == "picturebook" and (width, height) != (side, side) and not force:
        raise UserError(
            f"{name} is {width}x{height} pixels, and picture-book weights know {side}x{side} "
            "drawings alone: edit it with real weights, as `--profile sd2` and "
            '`Editor.from_profile("sd2")` do, or say `--force` or `force=True`'
        )
    for box in boxes:
        if box.right > width or box.bottom > height:
            raise UserError(f"box {box.as_tuple()} leaves {name}, which is {width}x{height} pixels")
        wide, high = width * profile.cell / side, height * profile.cell / side
        if box.right - box.left < wide or box.bottom - box.top < high:
            raise UserError(
                f"box {box.as_tuple()} is too small: in {name} the inpainter needs "
                f"{math.ceil(wide)}x{math.ceil(high)} pixels"
            )


def as_box(box: Box | Sequence[Any]) -> Box:
    """(left, top, right, bottom) in pixels, half-open; UserError where that is no box."""
    try:
        return box if isinstance(box, Box) else Box(*(_whole(side) for side in box))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"box {box!r}: give left, top, right, bottom in whole pixels, left < right and "
            "top < bottom"
        ) from error


def _whole(side: Any) -> int:
    if int(side) != side:
        raise ValueError(f"{side} is no whole number")
    return int(side)


def _read_file(name: str | bytes) -> Picture:
    path = Path(str(name))
    if not name:
        raise UserError("an image's name is empty: name a file")
    if path.is_dir():
        raise UserError(f"{name!r} is a folder: name the image")
    return Picture(read_image(path), path)


def _from_pil(image: Image.Image) -> np.ndarray:
    """By the one reader of pictures, which turns, flattens and names what is wrong."""
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        image = image.convert("RGB")
    kept = io.BytesIO()
    image.save(kept, format="PNG", compress_level=0, exif=image.getexif(),
               icc_profile=image.info.get("icc_profile"))  # fmt: skip
    return read_image(kept.getvalue(), name="the picture")


def _channels_last(values: np.ndarray) -> np.ndarray:
    """(3, H, W) or (1, 3, H, W) to (H, W, 3)."""
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim != 3 or values.shape[0] not in (1, 3, 4):
        raise UserError(
            f"a tensor of shape {tuple(values.shape)} is no picture: give (3, height, width) or "
            "(1, 3, height, width), and many pictures as a list"
        )
    return values.transpose(1, 2, 0)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """uint8, from uint8 or from floats in [0, 1]; what Pillow knows as grey, RGB or RGBA."""
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if not values.size or values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,), (4,)):
        raise UserError(
            f"an array of shape {values.shape} is no picture: give (height, width, 3), and many "
            "pictures as a list"
        )
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype.kind != "f":
        raise UserError(f"a picture of {values.dtype}: give uint8, or floats in [0, 1]")
    low, high = values.min(), values.max()  # NaN fails both comparisons
    if not (low >= 0 and high <= 1):
        raise UserError(f"a picture of floats lies in [0, 1], this one in [{low:g}, {high:g}]")
    return np.round(values * 255).astype(np.uint8)
