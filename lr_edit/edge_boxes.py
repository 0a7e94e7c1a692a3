"""Rectangles that hold whole things: edges inside, and none that the border cuts.

    score(box) = (edges inside - CUT * edges that its border crosses) / perimeter ** 1.5

Departure: the paper knows squares about DINO's anchors alone, and half of them cut what they edit.
The measure is that of Edge Boxes (Zitnick and Dollár, ECCV 2014), on every rectangle of a grid: a
contour that leaves a box is met where the picture changes along the border itself. No network is
asked, no word is read.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

GRID = 16  # places along a side where a border may be
CELL = 4  # pixels between two of them, of the small picture that is looked at
LEAST, MOST = 2, 14  # sides of boxes, in such places
EDGE = 0.05  # a step of a channel from one pixel to the next that is none
CUT = 64.0  # 48 to 80 do alike
OVERLAP = 0.7  # IoU from which two boxes are one


class EdgeMap:
    """Where a picture changes, summed so that every box is measured at once.

    Args:
        image: In [0, 1], of any size; it is looked at in 64 x 64 pixels.

    Example:
        >>> image = torch.zeros(1, 3, 64, 64)
        >>> image[..., 20:36, 24:40] = 1.0  # a white square
        >>> edges = EdgeMap(image)
        >>> tight, cutting = torch.tensor([[6, 5, 10, 9], [8, 5, 12, 9]])
        >>> edges.crossed(torch.stack([tight, cutting])).tolist()
        [0.0, 1.9]
    """

    def __init__(self, image: Float[Tensor, "1 3 h w"]) -> None:
        small = F.interpolate(image.cpu().double(), (GRID * CELL,) * 2, mode="area")[0]
        across = ((small[:, :, 1:] - small[:, :, :-1]).abs().amax(0) - EDGE).clamp(min=0)
        down = ((small[:, 1:] - small[:, :-1]).abs().amax(0) - EDGE).clamp(min=0)
        # Step k leads from pixel k - 1 to pixel k. Sums from each row's first pixel, from each
        # column's, and over areas.
        self._across = F.pad(across.cumsum(1), (1, 0))
        self._down = F.pad(down.cumsum(0), (0, 0, 1, 0))
        self._areas = [
            F.pad(F.pad(steps, pad).cumsum(0).cumsum(1), (1, 0, 1, 0))
            for steps, pad in ((across, (1, 1)), (down, (0, 0, 1, 1)))
        ]

    def inside(self, boxes: Int[Tensor, "n 4"]) -> Float[Tensor, " n"]:
        """All edges in boxes, which are in places of the grid, those at their borders too."""
        left, top, right, bottom = (CELL * boxes).unbind(-1)
        across, down = self._areas
        return _sum(across, (left, top, right + 1, bottom)) + _sum(
            down, (left, top, right, bottom + 1)
        )

    def crossed(self, boxes: Int[Tensor, "n 4"]) -> Float[Tensor, " n"]:
        """The edges met on the way around boxes: the mean of the ring of pixels just inside and of
        that just outside, where a thing that a border cuts shows. A side on the picture's own frame
        cuts nothing."""
        last, met = GRID * CELL - 1, torch.zeros(len(boxes), dtype=torch.float64)
        left, top, right, bottom = (CELL * boxes).unbind(-1)
        for out in (0, 1):
            low_x, low_y = ((low - out).clamp(min=0) for low in (left, top))
            high_x, high_y = ((high - 1 + out).clamp(max=last) for high in (right, bottom))
            for row, free in ((low_y, top > 0), (high_y, bottom <= last)):
                met += free * (self._across[row, high_x] - self._across[row, low_x]) / 2
            for column, free in ((low_x, left > 0), (high_x, right <= last)):
                met += free * (self._down[high_y, column] - self._down[low_y, column]) / 2
        return met


def edge_boxes(edges: EdgeMap, *, count: int) -> tuple[Int[Tensor, "n 4"], Float[Tensor, " n"]]:
    """The rectangles that are most like the frame of a thing, the best first.

    Args:
        edges: Of the picture.
        count: Boxes at most; no two overlap by an IoU of 0.7 or more.

    Returns:
        Boxes (left, top, right, bottom) in places of the grid, 16 a side, and their scores.

    Source: Edge Boxes (Zitnick and Dollár, ECCV 2014), section 3.2; see the module.

    Example:
        >>> image = torch.zeros(1, 3, 64, 64)
        >>> image[..., 20:36, 24:40] = 1.0
        >>> boxes, _ = edge_boxes(EdgeMap(image), count=5)
        >>> boxes[0]
        tensor([ 6,  5, 10,  9])
    """
    boxes = every_rectangle()
    perimeter = (boxes[:, 2:] - boxes[:, :2]).sum(-1).double()
    scores = (edges.inside(boxes) - CUT * edges.crossed(boxes)) / perimeter**1.5
    kept = suppress(boxes, scores, overlap=OVERLAP, count=count)
    return boxes[kept], scores[kept]


def grow_boxes(edges: EdgeMap, boxes: Int[Tensor, "n 4"]) -> Int[Tensor, "n 4"]:
    """Boxes with room about the thing: each side is moved out by a place, one after the other,
    unless its new border crosses what the old one did not (a neighbour, mostly)."""
    for side, out in enumerate((-1, -1, 1, 1)):
        moved = boxes.clone()
        moved[:, side] = (moved[:, side] + out).clamp(0, GRID)
        free = edges.crossed(moved) <= edges.crossed(boxes) + 1
        boxes = torch.where(free[:, None], moved, boxes)
    return boxes


def every_rectangle() -> Int[Tensor, "n 4"]:
    """Every rectangle whose borders are at places of the grid, in places."""
    stretches = [
        (low, low + extent) for extent in range(LEAST, MOST + 1) for low in range(GRID - extent + 1)
    ]
    across = torch.tensor(stretches)
    x, y = across.repeat_interleave(len(across), 0), across.repeat(len(across), 1)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], -1)


def _sum(
    area: Float[Tensor, "h w"], box: tuple[Tensor, Tensor, Tensor, Tensor]
) -> Float[Tensor, " n"]:
    left, top, right, bottom = box
    return area[bottom, right] - area[top, right] - area[bottom, left] + area[top, left]


def suppress(
    boxes: Int[Tensor, "n 4"], scores: Float[Tensor, " n"], *, overlap: float, count: int
) -> list[int]:
    """Numbers of the best boxes, the best first, without those that overlap a better one too much.

    Example:
        >>> boxes = torch.tensor([[0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 60, 60]])
        >>> suppress(boxes, torch.tensor([0.1, 0.9, 0.5]), overlap=0.7, count=5)
        [1, 2]
    """
    order = scores.argsort(descending=True, stable=True)
    kept: list[int] = []
    while len(order) and len(kept) < count:
        best, others = order[0], order[1:]
        kept.append(int(best))
        order = others[_overlaps(boxes[best], boxes[others]) < overlap]
    return kept


def _overlaps(box: Int[Tensor, "4"], others: Int[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """IoU."""
    inner = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])
    shared = inner.clamp(min=0).prod(-1)
    areas = (others[:, 2:] - others[:, :2]).prod(-1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared)
