"""What a person hands to `Editor` or to `lr-edit edit`, checked before anything heavy is loaded:
a picture of any kind, words, boxes or a mask, a mode and what it may cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool
from PIL import Image

from lr_edit.errors import UserError, check_flag, shorten, suggest_name
from lr_edit.frame import LEAST
from lr_edit.photo_file import Picture, read_photo, read_pil
from lr_edit.profiles import MOST, Profile
from lr_edit.types import Box, Merit

Mode = Literal["detected", "grounded", "race", "enumerate", "amortised", "paper"]
MODES: tuple[Mode, ...] = get_args(Mode)
WITHIN_BUDGET = ("detected", "grounded", "race", "amortised")  # the others inpaint every box
Crop = Literal["context", "whole"]
CROPS: tuple[Crop, ...] = get_args(Crop)
NEARLY, SOFT = 48, 0.25  # of a mask: how far from black or white its values may be, and its share


@dataclass(frozen=True)
class Request:
    """How one picture is to be edited; UserError where that cannot be."""

    source: str
    prompt: str
    mode: Mode = "detected"
    budget: int | None = None
    rank: Merit | None = None
    boxes: tuple[Box, ...] | None = None
    mask: Any = field(default=None, compare=False)
    seed: int = 0
    crop: Crop | None = None

    def __post_init__(self) -> None:
        for name, words in (("source", self.source), ("prompt", self.prompt)):
            if not (isinstance(words, str) and words.strip()):
                raise UserError(
                    f"the {name} may not be empty, nor anything but text: say what to edit, and "
                    "into what picture"
                )
            if "\0" in words or any("\ud800" <= letter <= "\udfff" for letter in words):
                raise UserError(f"the {name} {shorten(words)} holds a zero, or half a letter")
        if self.budget is not None and not (_is_whole(self.budget) and self.budget <= MOST):
            raise UserError(f"budget {shorten(self.budget)}: give a whole number, {MOST} at most")
        if not _is_whole(self.seed) or self.seed < 0:
            raise UserError(f"seed {shorten(self.seed)}: a seed is a whole number from 0")
        if self.mode not in MODES:
            raise UserError(f"unknown mode {self.mode!r}{suggest_name(str(self.mode), MODES)}")
        if self.rank not in (None, "S", "loss"):
            raise UserError(f"rank {self.rank!r}: the best is best by 'S' or by 'loss'")
        if self.boxes is not None and self.mask is not None:
            raise UserError("boxes and a mask: give one of them, each says what may change")
        own = self.boxes is not None or self.mask is not None
        if own and (self.budget is not None or self.mode != "detected"):
            raise UserError("your own boxes and masks are all inpainted: leave out mode and budget")
        if self.boxes is not None and not self.boxes:
            raise UserError("no box: give one at least, or leave boxes out")
        if self.budget is not None and self.mode not in WITHIN_BUDGET:
            modes = ", ".join(WITHIN_BUDGET)
            raise UserError(f"a budget is for the modes {modes}: {self.mode} inpaints every box")
        if self.budget is not None and self.budget < 1:
            raise UserError(f"a budget of {self.budget} UNet evaluations buys nothing")
        if self.crop not in (None, *CROPS):
            raise UserError(f"unknown crop {self.crop!r}{suggest_name(str(self.crop), CROPS)}")
        if self.crop == "context" and self.mode == "paper":
            raise UserError("the paper inpaints the whole picture: leave out the crop, or the mode")

    def drawn(self, picture: Picture) -> tuple[tuple[Box, ...], np.ndarray | None]:
        """Boxes of the user's own, or the one about the mask and that, for one picture.

        Raises UserError where the mask does not fit it.
        """
        if self.mask is None:
            return self.boxes or (), None
        mask = read_mask(self.mask, picture)
        return (mask_box(mask),), mask

    def crops(self, picture: Picture, side: int) -> bool:
        """Whether each box of a picture is inpainted in a square of its own, by models of `side`:
        by default where the picture is larger, but in the paper's procedure."""
        large = max(picture.width, picture.height) > side and self.mode != "paper"
        return self.crop == "context" or (self.crop is None and large)


def _is_whole(number: Any) -> bool:
    """Whether it is a whole number of Python or NumPy."""
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def read_picture(image: Any) -> Picture:
    """A picture of any kind.

    Args:
        image: A path; a PIL picture; an array (height, width, 3), uint8 or float in [0, 1]; a
            tensor (3, height, width) or (1, 3, height, width), likewise. One channel is grey, four
            are RGB and opacity.

    Returns:
        Its pixels, upright, in RGB, and the profile of their colours.

    Raises:
        UserError: For what cannot be read as a picture.
    """
    if isinstance(image, str | PathLike):
        return _read_file(fspath(image))
    if isinstance(image, Image.Image):
        return read_pil(image)
    if _is_tensor(image):
        image = _channels_last(_numbers_of(image))
    if isinstance(image, np.ma.MaskedArray):
        raise UserError("a masked array is no picture: fill it")
    if isinstance(image, np.ndarray):
        return read_pil(Image.fromarray(_as_bytes(image)))
    raise UserError(
        f"{type(image).__name__} is no picture: give a path, a PIL picture, an array or a tensor"
    )


def read_mask(mask: Any, picture: Picture) -> Bool[np.ndarray, "height width"]:
    """Where a picture may change: True where a mask, which is a picture of its size or an array of
    truths, is rather white than black.

    Raises UserError for another size, and for a mask of one colour all over.
    """
    if _is_tensor(mask):
        mask = _numbers_of(mask)
    if isinstance(mask, np.ndarray):
        mask = mask[0] if mask.ndim == 3 and len(mask) == 1 else mask  # a tensor's (1, H, W)
        mask = mask.astype(np.uint8) * 255 if mask.dtype == bool else mask
    found = read_picture(mask)
    name, whose = str(found.path or "the mask"), str(picture.path or "the picture")
    if found.pixels.shape != picture.pixels.shape:
        raise UserError(
            f"{name} is {found.width}x{found.height} pixels and {whose} "
            f"{picture.width}x{picture.height}: a mask is as large as its picture"
        )
    if int(np.ptp(found.pixels, axis=2).max()) > NEARLY:
        raise UserError(f"{name} is coloured: a mask is black and white, white where to edit")
    white = found.pixels.mean(2) > 127
    between = (found.pixels > NEARLY) & (found.pixels < 255 - NEARLY)
    if between.mean() > SOFT:
        raise UserError(f"{name} is mostly grey: a mask is black and white, but for soft edges")
    if not white.any():
        raise UserError(f"{name} is black all over: what is to be edited must be white")
    if white.all():
        raise UserError(
            f"{name} is white all over, as what is transparent counts too: make black what is to "
            "stay, or name the whole picture as a box"
        )
    return white


def mask_box(mask: Bool[np.ndarray, "height width"]) -> Box:
    """The box about what is white.

    Example:
        >>> mask_box(np.array([[0, 0, 0, 0], [0, 1, 1, 0]], dtype=bool))
        Box(left=1, top=1, right=3, bottom=2)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def is_foreign(picture: Picture, profile: Profile) -> bool:
    """Whether picture-book weights, which know drawings of one size alone, never saw its like."""
    side = profile.side
    return profile.world == "picturebook" and (picture.width, picture.height) != (side, side)


def check_world(picture: Picture, profile: Profile) -> None:
    """UserError for a photo where picture-book weights are to edit it."""
    width, height, side = picture.width, picture.height, profile.side
    name = str(picture.path or "the picture")
    if is_foreign(picture, profile):
        raise UserError(
            f"{name} is {width}x{height} pixels, and picture-book weights know {side}x{side} "
            "drawings alone: edit it with real weights, as `lr-edit --profile sd2 edit` and "
            '`Editor.from_profile("sd2")` do, or say `--force` or `force=True`'
        )


def check_picture(
    picture: Picture, request: Request, *, profile: Profile, force: bool = False
) -> None:
    """UserError for what the profile's models cannot edit: a box that leaves the picture, or is
    smaller than a cell of the inpainter; without `force`, a photo by picture-book weights."""
    check_flag("force", force)
    if not force:
        check_world(picture, profile)
    width, height, side = picture.width, picture.height, profile.side
    name = str(picture.path or "the picture")
    for box in request.drawn(picture)[0]:
        if box.right > width or box.bottom > height:
            raise UserError(f"box {box.as_tuple()} leaves {name}, which is {width}x{height} pixels")
        seen = LEAST * side if request.crops(picture, side) else max(width, height)
        least = math.ceil(seen * profile.cell / side)
        if min(box.right - box.left, box.bottom - box.top) < least:
            raise UserError(
                f"box {box.as_tuple()} is too small: in {name} the inpainter needs {least}x{least} "
                f"pixels{'; crop context needs less' if seen >= side else ''}"
            )


def as_boxes(boxes: Any) -> tuple[Box, ...]:
    """Boxes of the user's own; UserError for what is none, and for no list of them."""
    if isinstance(boxes, str) or not hasattr(boxes, "__iter__"):
        raise UserError(f"boxes {shorten(boxes)}: give a list of boxes")
    return tuple(as_box(box) for box in boxes)


def as_box(box: Box | Sequence[Any]) -> Box:
    """(left, top, right, bottom) in pixels, half-open; UserError where that is no box."""
    try:
        return box if isinstance(box, Box) else Box(*(_whole(side) for side in box))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"box {shorten(box)}: give a list of boxes, each left, top, right, bottom in whole "
            "pixels, left < right and top < bottom"
        ) from error


def _whole(side: Any) -> int:
    if isinstance(side, bool) or int(side) != side:
        raise ValueError(f"{side} is no whole number")
    return int(side)


def _read_file(name: str | bytes) -> Picture:
    path = Path(str(name))
    if not name:
        raise UserError("an image's name is empty: name a file")
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:  # a name that no disk takes
        raise UserError(
            f"{shorten(path)} cannot be read ({error.strerror}): name another"
        ) from None
    if folder:
        raise UserError(f"{name!r} is a folder: name the image")
    if not there:
        brought = "; `make pull` brings the bundled ones" if path.parts[:1] == ("data",) else ""
        raise UserError(f"{shorten(path)} is missing: name a picture that is there{brought}")
    return read_photo(path)


def _is_tensor(value: Any) -> bool:
    """A tensor of PyTorch, without importing it; files have a `detach`, too."""
    return hasattr(value, "detach") and hasattr(value, "layout")


def _numbers_of(tensor: Any) -> np.ndarray:
    """A tensor's values; bytes and truths stay what they are."""
    try:
        kept = tensor.detach().cpu()
        values: np.ndarray = (kept.float() if kept.is_floating_point() else kept).numpy()
    except (TypeError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"a tensor that cannot be read ({shorten(error, most=80)})") from None
    return values


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
