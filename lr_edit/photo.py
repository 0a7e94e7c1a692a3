"""Photos of any size and shape: to the models' size, and the edit back at full size.

A square may be the photo, stretched, as in the released code: all of it can be edited. A box of the
square maps to the photo's nearest pixels, and back to itself where the photo is not smaller. The
photo's pixels outside the box stay what they are, bit by bit.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from lr_edit.types import Box


def working_image(image: np.ndarray, *, side: int) -> np.ndarray:
    """uint8 (H, W, 3) to (side, side, 3); an image of that size stays as it is, byte for byte."""
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))


def fit_photo(image: np.ndarray, *, side: int, least: int = 1) -> np.ndarray:
    """uint8 (H, W, 3) in its own shape, the longer side `side`, the other `least` or more; a square
    is what `working_image` makes of it.

    Example:
        >>> fit_photo(np.zeros((300, 400, 3), np.uint8), side=64).shape
        (48, 64, 3)
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    size = (max(round(width * side / longer), least), max(round(height * side / longer), least))
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def scale_box(box: Box, *, old: tuple[int, int], new: tuple[int, int]) -> Box:
    """A box of a picture of `old` (width, height), in the nearest pixels of one of `new`; at least
    a pixel wide and high.

    Example:
        >>> scale_box(Box(160, 0, 320, 320), old=(640, 320), new=(64, 32))
        Box(left=16, top=0, right=32, bottom=32)
    """
    return _scaled(box, new[0] / old[0], new[1] / old[1], *new)


def square_to_photo(box: Box, *, side: int, width: int, height: int) -> Box:
    """A box of the working square in the photo's pixels; at least a pixel wide and high.

    Args:
        box: In pixels of the square.
        side: Of the square.
        width: Of the photo.
        height: Of the photo.

    Example:
        >>> square_to_photo(Box(16, 0, 32, 64), side=64, width=640, height=320)
        Box(left=160, top=0, right=320, bottom=320)
    """
    return _scaled(box, width / side, height / side, width, height)


def photo_to_square(box: Box, *, side: int, width: int, height: int) -> Box:
    """A box of the photo in the working square's pixels: `square_to_photo` reversed.

    Example:
        >>> photo_to_square(Box(160, 0, 320, 320), side=64, width=640, height=320)
        Box(left=16, top=0, right=32, bottom=64)
    """
    return _scaled(box, side / width, side / height, side, side)


def _scaled(box: Box, x: float, y: float, width: int, height: int) -> Box:
    left, right = min(round(box.left * x), width - 1), min(round(box.right * x), width)
    top, bottom = min(round(box.top * y), height - 1), min(round(box.bottom * y), height)
    return Box(left, top, max(right, left + 1), max(bottom, top + 1))
