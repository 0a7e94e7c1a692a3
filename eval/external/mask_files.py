"""Where a task's mask comes from, and reading it: files, true boxes, PIE-Bench's runs.

A file is black and white: 0/1, or 0/255, in every channel. Raises UserError for anything else.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

from eval.metrics import pie_bench
from eval.metrics.regions import as_mask
from lr_edit.errors import Notice, UserError
from lr_edit.types import Box
from lr_edit.workspace.storage import open_picture


@dataclass(frozen=True)
class Cutout:
    """A file whose transparent pixels are edited; where nothing is transparent, its white ones."""

    path: Path


MaskSource = Path | Cutout | Box | tuple[int, ...]  # a tuple holds PIE-Bench's runs


def read_mask_of(source: MaskSource, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """True where edited; `size` is the image's (height, width). ValueError for impossible runs.

    A file keeps its own size, runs have 512x512 pixels: whether they fit is the caller's to check.
    """
    if isinstance(source, Path):
        return read_mask(source)
    if isinstance(source, Cutout):
        return read_mask(source.path, transparent=True)
    if isinstance(source, Box):
        mask = np.zeros(size, bool)
        mask[source.top : source.bottom, source.left : source.right] = True
        return mask
    return pie_bench.decode_mask(source, ring=False)


def read_mask(path: Path, *, transparent: bool = False) -> Bool[np.ndarray, "h w"]:
    """True where edited. `transparent`: transparent pixels are, if there are any.

    Without it a transparent pixel is refused: it could mean either.
    """
    with open_picture(path, name=f"mask {path}") as file:
        clear = 255 - np.asarray(file.convert("RGBA").getchannel("A"))
        plain = file.convert("RGB") if file.mode in ("P", "LA", "RGBA", "CMYK") else file
        values = np.array(plain)
    if clear.any():
        if not transparent:
            raise UserError(f"mask {path} has transparent pixels: save it black and white")
        values = clear
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise UserError(f"mask {path} is coloured: save it black and white")
        values = values[..., 0]
    try:
        mask = as_mask(torch.from_numpy(values.astype(np.int64))[None, None])[0, 0].numpy()
    except ValueError as error:
        raise UserError(f"mask {path}: {error}") from None
    if not mask.any():
        warnings.warn(f"mask {path}: it is black all over, so that all is background", Notice, 2)
    return mask


def size_text(shape: tuple[int, ...]) -> str:
    """(height, width) as people say it: 640x480."""
    return f"{shape[1]}x{shape[0]}"
