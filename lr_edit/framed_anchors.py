"""A photo's part of the method's square, for the anchor model: the photo in its own shape."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lr_edit.frozen import AnchorModel
from lr_edit.types import Box


class FramedAnchors:
    """An anchor model that is shown the photo alone, `part` of the method's square: beyond it, both
    its maps are 0."""

    def __init__(self, anchors: AnchorModel, *, part: Box, side: int) -> None:
        self._anchors, self._part, self._side = anchors, part, side
        self.patch = anchors.patch

    def attention(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n rows cols"]:
        """As the model's; 0, too, where a cell's middle is beyond the photo."""
        found = self._spread(self._anchors.attention, images)
        rows, cols = ((torch.arange(n) + 0.5) * self._side / n for n in found.shape[1:])
        part = self._part
        high, wide = (
            (rows > part.top) & (rows < part.bottom),
            (cols > part.left) & (cols < part.right),
        )
        return found * (high[:, None] & wide[None, :]).to(found)

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c rows cols"]:
        """As the model's."""
        return self._spread(self._anchors.features, images)

    def _spread(self, look: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """What the model finds in the photo's cells, on the grid of the whole square."""
        part, (high, wide) = self._part, self.patch
        down, across = (size / self._side for size in images.shape[2:])
        top, bottom = int(part.top * down / high), -int(-part.bottom * down // high)
        left, right = int(part.left * across / wide), -int(-part.right * across // wide)
        found = look(images[:, :, top * high : bottom * high, left * wide : right * wide])
        beyond = (
            left, images.shape[3] // wide - right, top, images.shape[2] // high - bottom
        )  # fmt: skip
        return F.pad(found, beyond)
