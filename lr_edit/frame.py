"""A window of a photo that models see as their square, and what they made of it laid back.

The method works on a square of one side. A frame of the whole photo is the square about it: its
shape is kept, and what lies beyond it repeats the photo's edge, so that nothing is squeezed and
nothing is cut off; of that edge the anchor model and the inpainter see no more than makes their
sides whole (`framed_models`). A frame about a box is a square of the photo around it, so that
something small is inpainted at the models' own resolution. Departure: the release stretches the
photo to the square; the mode `paper` still does.

Only pixels inside the box, or the mask, ever change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from lr_edit.photo import photo_to_square, square_to_photo, working_image
from lr_edit.types import Box

CONTEXT = 2.0  # side of the square about a box, over the box's longer side
LEAST = 0.25  # its least side, as a share of the models': they see no photo larger than 4 to 1


@dataclass(frozen=True)
class Frame:
    """A window in the photo's pixels; it may reach beyond the photo.

    Example:
        >>> frame = frame_photo(640, 320)  # as wide as the photo, 160 pixels beyond it each way
        >>> frame.to_square(Box(0, 0, 640, 320), side=64)
        Box(left=0, top=16, right=64, bottom=48)
        >>> frame.to_photo(Box(16, 16, 32, 64), side=64, width=640, height=320)
        Box(left=160, top=0, right=320, bottom=320)
    """

    left: int
    top: int
    width: int
    height: int

    def view(self, photo: UInt8[np.ndarray, "h w 3"], *, side: int) -> UInt8[np.ndarray, "s s 3"]:
        """What models see: the window at their size."""
        return working_image(self._cut(photo, mode="edge"), side=side)

    def mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "rows cols"]:
        """The window of a mask of the photo, in the photo's pixels."""
        return self._cut(mask, mode="constant")

    def to_square(self, box: Box, *, side: int) -> Box:
        """A box of the photo, which lies in the window, in the nearest pixels of the square."""
        return photo_to_square(self._inside(box), side=side, width=self.width, height=self.height)

    def exact(self, box: Box, *, side: int) -> tuple[float, float, float, float]:
        """The same, between pixels."""
        inside, x, y = self._inside(box), side / self.width, side / self.height
        return inside.left * x, inside.top * y, inside.right * x, inside.bottom * y

    def to_photo(self, box: Box, *, side: int, width: int, height: int) -> Box:
        """A box of the square in the photo's nearest pixels: what of it lies in the photo."""
        there = square_to_photo(box, side=side, width=self.width, height=self.height)
        left = min(max(there.left + self.left, 0), width - 1)
        top = min(max(there.top + self.top, 0), height - 1)
        right, bottom = min(there.right + self.left, width), min(there.bottom + self.top, height)
        return Box(left, top, max(right, left + 1), max(bottom, top + 1))

    def _inside(self, box: Box) -> Box:
        return Box(
            box.left - self.left, box.top - self.top, box.right - self.left, box.bottom - self.top
        )

    def _cut(self, photo: np.ndarray, *, mode: str) -> np.ndarray:
        high, wide = photo.shape[:2]
        right, bottom = self.left + self.width, self.top + self.height
        part = photo[max(self.top, 0) : bottom, max(self.left, 0) : right]
        beyond = [(max(-self.top, 0), max(bottom - high, 0)),
                  (max(-self.left, 0), max(right - wide, 0))]  # fmt: skip
        if not np.any(beyond):
            return part
        return np.pad(part, [*beyond, *[(0, 0)] * (photo.ndim - 2)], mode=mode)  # type: ignore[call-overload]


def frame_photo(width: int, height: int) -> Frame:
    """The square about a photo of this size."""
    side = max(width, height)
    return Frame((width - side) // 2, (height - side) // 2, side, side)


def frame_box(box: Box, *, side: int, width: int, height: int) -> Frame:
    """The square about a box in which models of this side inpaint it.

    Twice as long as the box's longer side and in the photo, as far as the photo is large enough.

    Example:
        >>> frame_box(Box(0, 100, 100, 150), side=64, width=1000, height=800)
        Frame(left=0, top=25, width=200, height=200)
    """
    longer = max(box.right - box.left, box.bottom - box.top)
    extent = min(max(round(CONTEXT * longer), round(LEAST * side)), max(width, height))

    def start(low: int, high: int, end: int) -> int:
        if extent >= end:
            return (end - extent) // 2
        return min(max((low + high - extent) // 2, 0), end - extent)

    left, top = start(box.left, box.right, width), start(box.top, box.bottom, height)
    return Frame(left, top, extent, extent)


def lay_over(
    photo: UInt8[np.ndarray, "h w 3"],
    patch: UInt8[np.ndarray, "s s 3"],
    *,
    frame: Frame,
    box: Box,
    feather: float,
    mask: Bool[np.ndarray, "h w"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The photo with the box of a frame's square in its place, at full size.

    Args:
        photo: The photo.
        patch: What models made of the frame, in the photo's own colours.
        frame: Where they saw it.
        box: What may change, in the photo's pixels.
        feather: Pixels of the square over which the seam fades, inside the box alone.
        mask: True where the photo may change, within the box; None: all of the box.
    """
    size = (box.right - box.left, box.bottom - box.top)
    part = frame.exact(box, side=len(patch))
    piece = np.asarray(Image.fromarray(patch).resize(size, Image.Resampling.LANCZOS, box=part))
    weight = fade(
        box, shape=photo.shape[:2], feather=feather * frame.width / len(patch), mask=mask
    )[..., None]
    result = photo.copy()
    region = result[box.top : box.bottom, box.left : box.right]
    mixed = (weight * piece + (1 - weight) * region).round().astype(np.uint8)
    region[:] = np.where(weight > 0, mixed, region)
    return result


def fade(
    box: Box,
    *,
    shape: tuple[int, ...],
    feather: float,
    mask: Bool[np.ndarray, "h w"] | None = None,
) -> Float[np.ndarray, "rows cols"]:
    """Weights of the edit in a box of a photo of this shape (height, width): rising inward over
    `feather` pixels to 1, but not from the photo's own border; the middle of what is thinner is 1.

    Example:
        >>> fade(Box(0, 1, 3, 6), shape=(9, 3), feather=1)[:, 0].tolist()
        [0.5, 1.0, 1.0, 1.0, 0.5]
    """
    from scipy.ndimage import distance_transform_cdt  # here: the command line's help stays light

    inside = np.ones((box.bottom - box.top, box.right - box.left), dtype=bool)
    if mask is not None:
        inside &= mask[box.top : box.bottom, box.left : box.right]
    rim = [(int(box.top > 0), int(box.bottom < shape[0])),
           (int(box.left > 0), int(box.right < shape[1]))]  # fmt: skip
    known = np.pad(inside, rim)
    if known.all():
        return np.ones(inside.shape)
    (above, _), (before, _) = rim
    rows, columns = inside.shape
    depth = distance_transform_cdt(known, "chessboard")
    depth = depth[above : above + rows, before : before + columns]
    thin = max(depth.max(), 1) - 1
    return np.minimum(depth / (min(feather, thin) + 1), 1.0)
