"""A photo's frames between the method and the inpainter: the method goes on seeing one square.

The inpainter is given the photo's part of it, in the photo's own shape; boxes end where it ends,
and each may be inpainted in a square of its own about it. What was made there is laid into the
method's square, so that it is scored as the photo will be, and is kept for the photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lr_edit.frame import Frame, frame_box
from lr_edit.frozen import Inpainter
from lr_edit.frozen.wrapped import WrappedInpainter
from lr_edit.types import Box, Sampler

BUCKETS = 8  # an inpainter's sides are so many parts of its square's: whole cells at every depth
RING = 1 / 16  # of the side: what is about an edit and says how its colours are to be matched
ROUNDING = 1e-6  # of a cell, which is none


@dataclass(frozen=True)
class Made:
    """What was inpainted for a box: the square of a frame, and the box in the photo."""

    patch: UInt8[np.ndarray, "side side 3"]
    frame: Frame
    place: Box


@dataclass(frozen=True)
class Canvas:
    """A photo, in sRGB, and how models of one side see it.

    whole    the frame in which the method looks for boxes
    cell     pixels of a latent cell of the square
    context  whether each box is inpainted in a frame of its own
    own      boxes that somebody drew in the photo, by what they are in the square
    mask     True where somebody lets the photo change
    """

    photo: UInt8[np.ndarray, "h w 3"]
    whole: Frame
    side: int
    cell: int
    context: bool = False
    own: Mapping[Box, Box] = field(default_factory=dict)
    mask: Bool[np.ndarray, "h w"] | None = None

    @property
    def square(self) -> UInt8[Tensor, "3 side side"]:
        """What the method sees."""
        return _as_tensor(self.whole.view(self.photo, side=self.side))

    @property
    def is_square(self) -> bool:
        """Whether the photo is the method's square already, and nothing but boxes is asked for."""
        square = Frame(0, 0, self.side, self.side)
        return self.whole == square and not self.context and self.mask is None

    @property
    def part(self) -> Box:
        """Where the photo lies in the square, in whole cells."""
        return self._covered(self.whole, step=self.cell)

    def bucket(self, frame: Frame) -> Box:
        """What of a frame's square an inpainter is given: where the photo lies, in eighths of the
        side. What it still sees beyond the photo repeats its edge."""
        step = self.cell * -(-self.side // (BUCKETS * self.cell))
        return self._covered(frame, step=step)

    def _covered(self, frame: Frame, *, step: int) -> Box:
        """Where the photo lies in a frame's square, in whole steps."""
        height, width = self.photo.shape[:2]
        inside = Box(
            max(frame.left, 0), max(frame.top, 0),
            min(frame.left + frame.width, width), min(frame.top + frame.height, height),
        )  # fmt: skip
        steps = np.divide(frame.exact(inside, side=self.side), step)
        low, high = np.floor(steps[:2] + ROUNDING), np.ceil(steps[2:] - ROUNDING)
        return Box(*(min(int(at) * step, self.side) for at in (*low, *high)))

    def place(self, box: Box) -> Box:
        """A box of the square in the photo."""
        height, width = self.photo.shape[:2]
        there = self.whole.to_photo(box, side=self.side, width=width, height=height)
        return self.own.get(box, there)

    def frame(self, place: Box) -> Frame:
        """Where a box of the photo is inpainted."""
        height, width = self.photo.shape[:2]
        if not self.context:
            return self.whole
        return frame_box(place, side=self.side, width=width, height=height)

    def inside(self, place: Box, frame: Frame) -> Bool[Tensor, "1 1 side side"]:
        """The cells of a frame's square that a box, or the mask in it, touches."""
        may = np.zeros(self.photo.shape[:2], dtype=bool)
        part = np.s_[place.top : place.bottom, place.left : place.right]
        may[part] = True if self.mask is None else self.mask[part]
        cells = F.adaptive_max_pool2d(
            torch.from_numpy(frame.mask(may)).float()[None, None], self.side // self.cell
        )
        return F.interpolate(cells, scale_factor=self.cell) > 0


class FramedInpainter(WrappedInpainter):
    """An inpainter that fills each box of the method's square in the box's own frame of the photo.

    made  what it made last for every box of the square
    """

    def __init__(self, inpainter: Inpainter, canvas: Canvas) -> None:
        super().__init__(inpainter)
        self._canvas = canvas
        self.made: dict[Box, Made] = {}

    def inpaint(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 side side"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 side side"]:
        """The square with each box filled; one after the other where each has its own frame."""
        boxes = [_box_of(mask[0]) for mask in masks]
        canvas = self._canvas
        if not canvas.context and canvas.mask is None:
            made = self._fill(
                image, prompt, frame=canvas.whole, masks=masks, noise=noise, sampler=sampler
            )
            for box, one in zip(boxes, made, strict=True):
                self.made[box] = Made(_as_bytes(one), canvas.whole, canvas.place(box))
            return made
        starts = noise.expand(len(masks), -1, -1, -1).split(1)
        return torch.cat(
            [
                self._inpaint(image, prompt, box=box, noise=start, sampler=sampler)
                for box, start in zip(boxes, starts, strict=True)
            ]
        )

    def _fill(
        self,
        view: Tensor,
        prompt: str,
        *,
        frame: Frame,
        masks: Tensor,
        noise: Tensor,
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 side side"]:
        """A frame's square with each mask filled: the inpainter is given the photo's part of it."""
        part, side, seen = self._canvas.bucket(frame), self._canvas.side, self._seen(frame)
        rows, cols = noise.shape[2:]
        start = noise[..., part.top * rows // side : part.bottom * rows // side,
                      part.left * cols // side : part.right * cols // side]  # fmt: skip
        made = view.cpu().expand(len(masks), -1, -1, -1).clone()
        made[seen] = self.inpainter.inpaint(
            view[seen].contiguous(), prompt, masks=masks[seen].contiguous(),
            noise=start.contiguous(), sampler=sampler,
        )  # fmt: skip
        return made

    def _seen(self, frame: Frame) -> tuple[Any, slice, slice]:
        """What of a frame's square the inpainter sees, as an index."""
        part = self._canvas.bucket(frame)
        return ..., slice(part.top, part.bottom), slice(part.left, part.right)

    def _inpaint(
        self, image: Tensor, prompt: str, *, box: Box, noise: Tensor, sampler: Sampler
    ) -> Float[Tensor, "1 3 side side"]:
        canvas, place = self._canvas, self._canvas.place(box)
        frame = canvas.frame(place)
        view = _as_tensor(frame.view(canvas.photo, side=canvas.side))[None].float() / 255
        inside = canvas.inside(place, frame)
        made = self._fill(view, prompt, frame=frame, masks=inside, noise=noise, sampler=sampler)
        usable = bool(torch.isfinite(made).all()) and bool((made * inside).any())
        if usable:
            seen = self._seen(frame)
            made[seen] = match_colours(made[seen], view[seen], inside=inside[seen])
        self.made[box] = Made(_as_bytes(made[0]), frame, place)
        if not usable:  # NaN, or black, all over: the method knows a failure by it
            return made * 0
        return self._in_square(image, box, made=self.made[box])

    def _in_square(self, image: Tensor, box: Box, *, made: Made) -> Float[Tensor, "1 3 side side"]:
        """The method's square with what was made for a box in it."""
        side, part = self._canvas.side, np.s_[..., box.top : box.bottom, box.left : box.right]
        piece = Image.fromarray(made.patch).resize(
            (box.right - box.left, box.bottom - box.top),
            Image.Resampling.LANCZOS,
            box=made.frame.exact(made.place, side=side),
        )
        result = image.cpu().clone()
        filled = _as_tensor(np.asarray(piece)).float() / 255
        if self._canvas.mask is None:
            result[part] = filled
        else:
            may = self._canvas.inside(made.place, self._canvas.whole)[part]
            result[part] = torch.where(may, filled, result[part])
        return result


def match_colours(
    made: Float[Tensor, "1 3 h w"],
    source: Float[Tensor, "1 3 h w"],
    *,
    inside: Bool[Tensor, "1 1 h w"],
) -> Float[Tensor, "1 3 h w"]:
    """What was made, each channel moved by what it is off about the mask, where it should be the
    source: the median, since an inpainter may have moved a thing there."""
    reach = max(1, round(RING * max(made.shape[2:])))
    near = F.max_pool2d(inside.float(), 2 * reach + 1, stride=1, padding=reach) > 0
    ring = (near & ~inside)[0, 0]
    if not bool(ring.any()):
        return made
    off = (source - made)[0][:, ring].median(-1).values
    return (made + off[None, :, None, None]).clamp(0, 1)


def _box_of(mask: Bool[Tensor, "side side"]) -> Box:
    down, across = (mask.any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return Box(across[0], down[0], across[-1] + 1, down[-1] + 1)


def _as_tensor(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "3 h w"]:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _as_bytes(image: Float[Tensor, "3 side side"]) -> UInt8[np.ndarray, "side side 3"]:
    pixels = (image.nan_to_num(0.0) * 255).round().to(torch.uint8)
    return pixels.permute(1, 2, 0).cpu().numpy()
