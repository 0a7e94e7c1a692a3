"""A proposal set: where its anchors are, and the way it draws boxes for a task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lr_edit.config import ProposalSet, Propose
from lr_edit.errors import UserError
from lr_edit.propose import anchor_points, random_boxes, snap_box, square_boxes
from lr_edit.types import Box, EditTask

# A true box is grown by these pixels, so that the feathered seam does not keep the thing's outline.
SEAM = 2


def place_anchors(
    attention: Float[Tensor, "rows cols"], *, proposals: ProposalSet, propose: Propose, seed: int
) -> Int[Tensor, "points 2"]:
    """The (row, col) of a set's anchors: by attention, drawn, or one at no cell (-1) where boxes do
    not stand on the grid."""
    if proposals.anchors == "dino":
        return anchor_points(
            attention, points=propose.points, distance=propose.distance, margin=propose.margin
        )
    if proposals.anchors == "random":
        generator = torch.Generator().manual_seed(seed + 1)  # boxes draw from `seed`
        drawn = torch.randperm(attention.numel(), generator=generator)[: propose.points]
        cols = attention.shape[1]
        return torch.stack([drawn // cols, drawn % cols], dim=-1)
    return torch.full((1, 2), -1)


def draw_boxes(
    task: EditTask,
    anchors: Int[Tensor, "points 2"],
    *,
    proposals: ProposalSet,
    grid: Sequence[int],
    side: int,
    cell: int,
    sizes: Sequence[float],
    seed: int,
) -> Int[Tensor, "points sizes 4"]:
    """Boxes of one task: squares or the paper's random rectangles at every anchor, or about the
    image's centre, or its truth.

    A task without a true box (`add`) is given the whole image. Raises UserError where the task has
    no truth at all.
    """
    if proposals.anchors == "centre":  # a grid of one cell has its middle there
        anchors, grid = torch.zeros(1, 2, dtype=torch.int64), (1, 1)
    if proposals.boxes == "squares":
        sizes = proposals.sizes or sizes
        return square_boxes(anchors, grid=grid, side=side, sizes=sizes, cell=cell)
    if proposals.boxes == "random":
        generator = torch.Generator().manual_seed(seed)
        return random_boxes(
            anchors, grid=grid, side=side, draws=proposals.draws, cell=cell, generator=generator
        )
    if task.truth is None:
        raise UserError(
            f"task {task.id!r} has no true box: drop the variants that use one, or add a `truth`"
        )
    truth = task.truth.box or Box(0, 0, side, side)
    grown = Box(
        max(0, truth.left - SEAM),
        max(0, truth.top - SEAM),
        min(side, truth.right + SEAM),
        min(side, truth.bottom + SEAM),
    )
    return torch.tensor(snap_box(grown, cell=cell, side=side).as_tuple()).view(1, 1, 4)
