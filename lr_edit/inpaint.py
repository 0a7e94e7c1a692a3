"""Boxes -> masks -> candidates, pasted back so that nothing outside a box changes.

Enters a source image, a prompt and boxes; leaves one edited uint8 image per box. All boxes of a
task share their starting noise (common random numbers), so that candidates differ by their box
alone and equal boxes are inpainted once. Departure: the release draws new noise for every box,
which is an option here.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from lr_edit.frozen import Inpainter
from lr_edit.types import Sampler


def noise_seed(task: str, seed: int) -> int:
    """The seed of a task's starting noise: by its id and the study's seed, nothing else."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{task}".encode()).digest()[:7], "big")


def box_masks(boxes: Int[Tensor, "n 4"], *, side: int) -> Bool[Tensor, "n 1 side side"]:
    """True inside each half-open box of a square image of `side` pixels.

    Example:
        >>> box_masks(torch.tensor([[1, 0, 3, 1]]), side=3).int()
        tensor([[[[0, 1, 1],
                  [0, 0, 0],
                  [0, 0, 0]]]], dtype=torch.int32)
    """
    at = torch.arange(side, device=boxes.device)
    left, top, right, bottom = boxes[:, :, None].unbind(1)  # (n, 1) each
    wide, high = (at >= left) & (at < right), (at >= top) & (at < bottom)
    return (high[:, :, None] & wide[:, None, :])[:, None]


def feather_weights(boxes: Int[Tensor, "n 4"], *, side: int, feather: int) -> Tensor:
    """Weight of the inpainted image, (n, 1, side, side): 0 outside, rising inward over `feather`
    pixels to 1; edges on the image's border do not fade."""
    at = torch.arange(side, device=boxes.device)

    def ramp(low: Tensor, high: Tensor) -> Tensor:
        from_low = torch.where(low == 0, side, at - low + 1)
        from_high = torch.where(high == side, side, high - at)
        return (torch.minimum(from_low, from_high) / (feather + 1)).clamp(0, 1)

    left, top, right, bottom = boxes[:, :, None].unbind(1)
    wide, high = ramp(left, right), ramp(top, bottom)
    return torch.minimum(high[:, :, None], wide[:, None, :])[:, None] * box_masks(boxes, side=side)


def paste_back(
    source: UInt8[Tensor, "3 side side"],
    inpainted: Float[Tensor, "n 3 side side"],
    *,
    boxes: Int[Tensor, "n 4"],
    feather: int,
) -> UInt8[Tensor, "n 3 side side"]:
    """Inpainted pixels inside each box, the source's very bytes outside it.

    Args:
        source: The source image, 0 to 255.
        inpainted: What the inpainter made, in [0, 1].
        boxes: left, top, right, bottom in pixels, one per image.
        feather: Pixels inside the box over which the seam fades; 0 is a hard edge.

    Example:
        >>> source = torch.zeros(3, 4, 4, dtype=torch.uint8)
        >>> edited = paste_back(
        ...     source, torch.ones(1, 3, 4, 4), boxes=torch.tensor([[0, 0, 4, 2]]), feather=1
        ... )
        >>> edited[0, 0, :, 0]
        tensor([255, 128,   0,   0], dtype=torch.uint8)
    """
    weight = feather_weights(boxes, side=source.shape[-1], feather=feather)
    mixed = (weight * inpainted * 255 + (1 - weight) * source).round().to(torch.uint8)
    return torch.where(weight > 0, mixed, source)


def inpaint_candidates(
    inpainter: Inpainter,
    source: UInt8[Tensor, "3 side side"],
    *,
    prompt: str,
    boxes: Int[Tensor, "points sizes 4"],
    sampler: Sampler,
    seed: int,
    feather: int,
    batch: int,
    noise: Literal["common", "independent"] = "common",
) -> tuple[UInt8[Tensor, "points sizes 3 side side"], int]:
    """One candidate per box, and the NFE (UNet evaluations) of all of them.

    Args:
        inpainter: A frozen model, as `frozen.protocols.Inpainter` describes it.
        source: The source image, 0 to 255.
        prompt: What every box is filled with.
        boxes: left, top, right, bottom in pixels; with common noise equal ones are inpainted once.
        sampler: Steps, guidance and the like.
        seed: Of the starting noise.
        feather: Pixels of the seam, see `paste_back`.
        batch: Boxes inpainted at once, at most; running out of memory halves it.
        noise: "common" starts all candidates from one noise; "independent" from one that follows
            from `seed` and the candidate's (point, size), never from its place in a batch.

    Returns:
        The candidates, 0 to 255, equal to the source outside of their boxes; their NFE. One that
        failed, since the inpainter made no numbers or nothing but black of what was not, is black
        as a whole: `score_candidates` gives it no score.

    Source: paper, section 3.1; common random numbers are ours.
    """
    distinct, where = boxes.reshape(-1, 4), torch.arange(boxes[..., 0].numel())
    side, before, seeds = source.shape[-1], inpainter.nfe, [seed]
    if noise == "common":
        distinct, where = distinct.unique(dim=0, return_inverse=True)
    else:
        seeds = [noise_seed(f"{p}/{s}", seed) for p, s in np.ndindex(*boxes.shape[:2])]
    image = source[None].float() / 255
    starts = torch.cat([inpainter.noise(side, one) for one in seeds])
    starts = starts.expand(len(distinct), -1, -1, -1)

    def inpaint(part: slice) -> Tensor:
        masks = box_masks(distinct[part], side=side)
        made = inpainter.inpaint(image, prompt, masks=masks, noise=starts[part], sampler=sampler)
        here, there = source.to(made.device), distinct[part].to(made.device)
        is_black = _is_black(made, masks.to(made.device), source=here)
        failed = ~torch.isfinite(made).flatten(1).all(1) | is_black
        edited = paste_back(here, made.nan_to_num(0.0), boxes=there, feather=feather)
        return (edited * ~failed[:, None, None, None]).cpu()

    done = _in_batches(inpaint, len(distinct), batch=batch, inpainter=inpainter)
    images = torch.cat(done)[where].unflatten(0, boxes.shape[:2])
    return images, inpainter.nfe - before


def _is_black(
    made: Float[Tensor, "n 3 side side"],
    masks: Bool[Tensor, "n 1 side side"],
    *,
    source: UInt8[Tensor, "3 side side"],
) -> Bool[Tensor, " n"]:
    """Whether nothing but black was made of a part of the source that is not black."""
    made_any, had_any = (((one != 0) & masks).flatten(1).any(1) for one in (made, source))
    return had_any & ~made_any


def _in_batches(
    inpaint: Callable[[slice], Tensor], count: int, *, batch: int, inpainter: Inpainter
) -> list[Tensor]:
    """What `inpaint` makes of 0..count in parts of `batch`, or of what the memory holds: running
    out of it halves the parts from then on, with one warning."""
    done, at = [], 0
    while at < count:
        size = min(batch, inpainter.max_batch or batch)
        try:
            done.append(inpaint(slice(at, at + size)))
            at += size
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            if inpainter.max_batch is None:
                warnings.warn("out of memory: inpainting fewer boxes at once", stacklevel=3)
            inpainter.max_batch = size // 2
            torch.cuda.empty_cache()
    return done
