"""A proposal set: the words it asks for, where its anchors are, and the way it draws boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from lr_edit.baselines.released import MARGIN, released_boxes
from lr_edit.boxes import (
    all_cells,
    anchor_points,
    grid_points,
    grow_by_cells,
    pixels_to_cells,
    random_boxes,
    snap_box,
    square_boxes,
    threshold_box,
)
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models
from lr_edit.inpaint import noise_seed
from lr_edit.proposal_set import MAPS, ProposalSet
from lr_edit.saliency import Saliency, compute_saliency
from lr_edit.types import Box, EditTask

# A true box is grown by these pixels, so that the feathered seam does not keep the thing's outline.
SEAM = 2
HELD = 0.5  # share of a found box that must lie in the picture
# What `propose` gives: saliency, anchors (points, 2), boxes (points, sizes, 4).
Proposed = tuple[Saliency, Tensor, Tensor]


def propose(
    models: Models,
    task: EditTask,
    *,
    source: UInt8[Tensor, "3 side side"],
    config: Config,
    how: ProposalSet,
) -> tuple[Saliency, Int[Tensor, "points 2"], Int[Tensor, "points sizes 4"]]:
    """Saliency, anchor points and boxes of one task, in its picture: where `models.part` says that
    it is not all of the source, the rest holds none.

    Args:
        models: The frozen models.
        task: Its words name what is edited and into what.
        source: The source image, 0 to 255.
        config: The working sizes of the models, and the study's seed.
        how: The proposal set: where anchors come from and how boxes are drawn.

    Returns:
        The maps; (row, col) of the anchors; left, top, right, bottom of the boxes in pixels.

    Raises:
        UserError: The set wants what the task does not know: a true box, or the thing alone.

    Source: paper, section 3.1.
    """
    seed, task = noise_seed(task.id, config.study.seed), task_with_prompt(task, proposals=how)
    maps = compute_saliency(models, task, source=source, config=config, proposals=how, seed=seed)
    if maps.grounding is not None:
        found, side = maps.grounding.boxes, source.shape[-1]
        middle = (found[:, :2] + found[:, 2:]) / 2
        anchors = pixels_to_cells(middle, grid=maps.attention.shape, side=side)
        growths, cell = how.propose.growths, config.models.cell
        boxes = grow_by_cells(found, growths, side=side, cell=cell)
        return keep_in_picture((maps, anchors, boxes), models.part)
    anchors = place_anchors(maps.scores, proposals=how, seed=seed)
    if models.part and how.anchors in ("random", "grid"):
        anchors = _moved(anchors, models.part, grid=maps.scores.shape, side=source.shape[-1])
    boxes = draw_boxes(
        task,
        anchors,
        scores=maps.scores,
        proposals=how,
        side=source.shape[-1],
        cell=config.models.cell,
        seed=seed,
    )
    if models.part and how.anchors == "centre":
        boxes = _about_middle(boxes, models.part, cell=config.models.cell)
    return keep_in_picture((maps, anchors, boxes), models.part)


def keep_in_picture(proposed: Proposed, part: Box | None) -> Proposed:
    """Boxes that end where the picture does, which is a part of the square, or all of it; of what
    was found by the words, only what is mostly in it, else the picture itself, as not found."""
    if part is None:
        return proposed
    maps, anchors, boxes = proposed
    cut, found = _cut(boxes, part), maps.grounding
    if found is None:
        return maps, anchors, cut
    own = _cut(found.boxes, part)
    area, before = ((b[:, 2:] - b[:, :2]).prod(-1) for b in (own, found.boxes))
    held = (area >= HELD * before).nonzero()[:, 0]
    if len(held):
        grounding = replace(found, boxes=own[held], scores=found.scores[held])
        return replace(maps, grounding=grounding), anchors[held], cut[held]
    whole = torch.tensor([part.as_tuple()])
    grounding = replace(found, boxes=whole, scores=found.scores[:1] * 0, drop=-math.inf)
    return replace(maps, grounding=grounding), anchors[:1], whole.expand(1, boxes.shape[1], 4)


def _cut(boxes: Int[Tensor, "*n 4"], part: Box) -> Int[Tensor, "*n 4"]:
    """Boxes as far as they lie in a part, at least a pixel."""
    low, high = torch.tensor([part.left, part.top]), torch.tensor([part.right, part.bottom])
    first = torch.minimum(torch.maximum(boxes[..., :2], low), high - 1)
    last = torch.maximum(torch.minimum(boxes[..., 2:], high), first + 1)
    return torch.cat([first, last], -1)


def _moved(
    anchors: Int[Tensor, "points 2"], part: Box, *, grid: Sequence[int], side: int
) -> Int[Tensor, "points 2"]:
    """Cells all over the grid -> as many all over the picture's part of it."""
    start = torch.tensor([part.top, part.left]) / side
    extent = torch.tensor([part.bottom - part.top, part.right - part.left]) / side
    return ((anchors + 0.5) * extent + start * torch.tensor(grid)).floor().long()


def _about_middle(
    boxes: Int[Tensor, "points sizes 4"], part: Box, *, cell: int
) -> Int[Tensor, "points sizes 4"]:
    """Boxes that have one middle, moved by whole cells to the picture's."""
    middle = torch.tensor([part.left + part.right, part.top + part.bottom]) / 2
    by = ((middle - boxes[0, 0].view(2, 2).double().mean(0)) / cell).round().long() * cell
    return boxes + by.repeat(2)


def task_with_prompt(task: EditTask, *, proposals: ProposalSet) -> EditTask:
    """The task with the prompt of a set: the whole scene or the thing alone, in its template.

    Where a thing is to go, the thing asked for is "nothing". Raises UserError for a thing alone
    where the task does not know it.
    """
    prompt = task.prompt if proposals.prompt == "scene" else _thing(task)
    return replace(task, prompt=proposals.template.format(prompt))


def _thing(task: EditTask) -> str:
    if task.truth is None:
        raise UserError(
            f"task {task.id!r} does not say which thing it asks for: "
            "drop the sets with `prompt: object`, or add a `truth`"
        )
    if (wanted := task.truth.wanted) is None:
        return "nothing"
    name = f"{wanted.colour} {wanted.kind}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def place_anchors(
    scores: Float[Tensor, "rows cols"], *, proposals: ProposalSet, seed: int
) -> Int[Tensor, "points 2"]:
    """The (row, col) of a set's anchors: by the map it is given, drawn, evenly spread, or one at no
    cell (-1) where boxes do not stand on the grid."""
    how = proposals.propose
    if proposals.boxes == "threshold" or proposals.anchors in ("centre", "truth"):
        return torch.full((1, 2), -1)
    if proposals.anchors in MAPS:
        return anchor_points(scores, points=how.points, distance=how.distance, margin=how.margin)
    if proposals.anchors == "released":
        return anchor_points(scores, points=how.points, margin=MARGIN)
    if proposals.anchors == "grid":
        return grid_points(scores.shape, points=how.points)
    generator = torch.Generator().manual_seed(seed + 1)  # boxes draw from `seed`
    drawn = torch.randperm(scores.numel(), generator=generator)[: how.points]
    return all_cells(scores.shape)[drawn]


def draw_boxes(
    task: EditTask,
    anchors: Int[Tensor, "points 2"],
    *,
    scores: Float[Tensor, "rows cols"],
    proposals: ProposalSet,
    side: int,
    cell: int,
    seed: int,
) -> Int[Tensor, "points sizes 4"]:
    """Boxes of one task: squares or the paper's random rectangles at every anchor or about the
    image's centre, one about a map, the release's, or the truth.

    A task without a true box (`add`) is given the whole image. Raises UserError where the task has
    no truth at all.
    """
    grid, generator = scores.shape, torch.Generator().manual_seed(seed)
    if proposals.boxes == "threshold":
        return threshold_box(scores, side=side, cell=cell)
    if proposals.boxes == "released":
        return released_boxes(anchors, side=side, cell=cell, generator=generator)
    if proposals.boxes == "truth":
        return _true_box(task, side=side, cell=cell)
    if proposals.anchors == "centre":  # a grid of one cell has its middle there
        anchors, grid = torch.zeros(1, 2, dtype=torch.int64), torch.Size((1, 1))
    if proposals.boxes == "squares":
        sizes = proposals.propose.sizes
        return square_boxes(anchors, grid=grid, side=side, sizes=sizes, cell=cell)
    return random_boxes(
        anchors, grid=grid, side=side, draws=proposals.draws, cell=cell, generator=generator
    )


def _true_box(task: EditTask, *, side: int, cell: int) -> Int[Tensor, "1 1 4"]:
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


def ground_of(
    maps: Saliency, boxes: Int[Tensor, "points sizes 4"]
) -> Float[np.ndarray, "points sizes"] | None:
    """What grounding says of boxes that it found; NaN of others, None where nobody asked it."""
    if maps.grounding is None:
        return None
    known = dict(
        zip(map(tuple, maps.grounding.boxes.tolist()), maps.grounding.scores.tolist(), strict=True)
    )
    values = [known.get(tuple(box), np.nan) for box in boxes.flatten(0, 1).tolist()]
    return np.array(values).reshape(boxes.shape[:2])
