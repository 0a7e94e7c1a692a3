"""Where the source words stand: hide a box, ask CLIP what is lost, keep the boxes that lose most.

    ground(box) = drop(box) / largest drop - AREA * share of the image's area
    drop(box)   = cos(image, source words) - cos(image with the box hidden, source words)

Departure: the paper takes anchors from DINO, which has not read the words. Occlusion is from Zeiler
and Fergus, ECCV 2014, section 4.2; a box is hidden behind what its own border shows, since the mean
colour of the image would be a thing of its own. Neither a truth nor a judge is read.

What is assumed of CLIP, and may fail on photos: that a hidden thing is missed (drops are small
there, hence their share of the largest); that colours go with their nouns (beside a blue cup, "a
red boat" is not a blue boat); that a square of at most 7/8 of the side holds the thing and not its
neighbours: things that touch are one. A box is grown by a share of the side, not by a latent cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lr_edit.boxes import snap_boxes
from lr_edit.frozen import ClipModel
from lr_edit.inpaint import box_masks

STEP = 1 / 16  # of the side: between two places, and what a box is grown by at each side
AREA = 2.0  # what its share of the area costs a box; 1 to 4 do alike
OVERLAP = 0.7  # IoU from which two boxes are one
# Coarse to fine: squares at every second place, then the neighbours of the best so many that
# overlap less than `APART`, twice. 120 to 150 views in place of the 344 of every place.
SEARCH, APART = (4, 3), 0.5
LEAST, MOST = 3 * STEP, 14 * STEP  # sides of squares, as shares of the image's
BATCH = 32  # views at once


@dataclass(frozen=True)
class Grounding:
    """Boxes for the source words, the best first.

    boxes   (n, 4) int: pixels, grown and snapped to the latent grid
    scores  (n,) float: `ground` of the boxes before they were grown, higher is better
    drop    the largest drop: a small one says that CLIP does not find the words
    views   images that CLIP embedded
    """

    boxes: Int[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    drop: float
    views: int


def ground_words(
    clip: ClipModel,
    image: Float[Tensor, "1 3 side side"],
    *,
    words: str,
    sizes: Sequence[float],
    points: int,
    cell: int,
) -> Grounding:
    """The boxes that CLIP needs most to find words in an image.

    Args:
        clip: The scoring CLIP.
        image: The source, in [0, 1].
        words: What is edited: "a red boat".
        sizes: Sides of the squares that are tried first, as shares of the image's.
        points: Boxes at most; fewer where no more are apart.
        cell: Pixels of a latent cell.

    Returns:
        Boxes, their scores, and what finding them cost.

    Source: this project; see the module.
    """
    side = image.shape[-1]
    text = clip.embed_texts([words])[0]
    whole = float(clip.embed_images(image)[0] @ text)
    boxes = squares_on_grid(side, sizes=sizes, step=2 * STEP)
    drops = whole - _cosines(clip, image, boxes=boxes, text=text)
    for count in SEARCH:
        best = suppress(boxes, ground_scores(boxes, drops, side=side), overlap=APART)[:count]
        new = _unseen(_neighbours(boxes[best], side=side), boxes)
        boxes = torch.cat([boxes, new])
        drops = torch.cat([drops, whole - _cosines(clip, image, boxes=new, text=text)])
    scores = ground_scores(boxes, drops, side=side)
    kept = suppress(boxes, scores, overlap=OVERLAP)[:points]
    margin, views = STEP * side, 1 + len(boxes)
    start, stop = boxes[kept, :2] - margin, boxes[kept, 2:] + margin
    grown = snap_boxes(start.double(), stop.double(), side=side, cell=cell)
    return Grounding(grown, scores[kept], float(drops.max()), views)


def ground_scores(
    boxes: Int[Tensor, "n 4"], drops: Float[Tensor, " n"], *, side: int
) -> Float[Tensor, " n"]:
    """Each drop as a share of the largest, less what its area costs."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1) / side**2
    return drops / drops.max().clamp(min=1e-6) - AREA * area


def squares_on_grid(side: int, *, sizes: Sequence[float], step: float) -> Int[Tensor, "n 4"]:
    """Squares of these shares of the side, every `step` of it: size by size, row by row."""
    boxes = []
    for size in sizes:
        extent = round(size * side)
        starts = range(0, side - extent + 1, round(step * side))
        boxes += [(x, y, x + extent, y + extent) for y, x in itertools.product(starts, starts)]
    return torch.tensor(boxes, dtype=torch.int64).view(-1, 4)


def hide_boxes(
    image: Float[Tensor, "1 3 side side"], boxes: Int[Tensor, "n 4"]
) -> Float[Tensor, "n 3 side side"]:
    """The image with each box filled from its border: the mean of two linear interpolations, from
    left to right and from top to bottom. A side on the frame takes what the opposite one shows."""
    left, top, right, bottom = boxes.unbind(-1)
    across = _bridge(image[0].permute(2, 0, 1), left, high=right).permute(0, 2, 3, 1)
    down = _bridge(image[0].permute(1, 0, 2), top, high=bottom).permute(0, 2, 1, 3)
    return torch.where(box_masks(boxes, side=image.shape[-1]), (across + down) / 2, image)


def suppress(
    boxes: Int[Tensor, "n 4"], scores: Float[Tensor, " n"], *, overlap: float
) -> list[int]:
    """Numbers of the boxes, the best first, without those that overlap a better one too much."""
    kept: list[int] = []
    for at in scores.argsort(descending=True, stable=True).tolist():
        if not kept or float(_overlaps(boxes[at], boxes[kept]).max()) < overlap:
            kept.append(at)
    return kept


def _overlaps(box: Int[Tensor, "4"], others: Int[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """IoU."""
    inner = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])
    shared = inner.clamp(min=0).prod(-1)
    areas = (others[:, 2:] - others[:, :2]).prod(-1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared)


def _neighbours(boxes: Int[Tensor, "n 4"], *, side: int) -> Int[Tensor, "m 4"]:
    """A step to each of eight directions, and a step larger or smaller at every side."""
    step = round(STEP * side)
    moves = [(x, y, x, y) for y, x in itertools.product((-step, 0, step), repeat=2)]
    moves += [(-step, -step, step, step), (step, step, -step, -step)]
    found = (boxes[:, None] + torch.tensor(moves)).flatten(0, 1)
    extent = found[:, 2] - found[:, 0]
    inside = (found >= 0).all(-1) & (found <= side).all(-1)
    return found[inside & (extent >= LEAST * side) & (extent <= MOST * side)]


def _unseen(boxes: Int[Tensor, "n 4"], known: Int[Tensor, "m 4"]) -> Int[Tensor, "k 4"]:
    """Each box once, without those that are known."""
    rows = set(map(tuple, boxes.tolist())) - set(map(tuple, known.tolist()))
    return torch.tensor(sorted(rows), dtype=torch.int64).view(-1, 4)


def _cosines(
    clip: ClipModel,
    image: Float[Tensor, "1 3 side side"],
    *,
    boxes: Int[Tensor, "n 4"],
    text: Float[Tensor, " d"],
) -> Float[Tensor, " n"]:
    """The cosine of the words with the image behind each hidden box."""
    parts = [  # none where no box is new
        clip.embed_images(hide_boxes(image, part)) @ text
        for part in boxes.split(BATCH)
        if len(part)
    ]
    return torch.cat([torch.empty(0, device=text.device), *parts]).cpu()


def _bridge(
    lines: Float[Tensor, "side 3 length"], low: Int[Tensor, " n"], *, high: Int[Tensor, " n"]
) -> Float[Tensor, "n side 3 length"]:
    """From the line before `low` to the line at `high`, linear, for every line of the image."""
    side = len(lines)
    before, after = low - 1, high
    before, after = torch.where(low > 0, before, after), torch.where(high < side, after, before)
    start, stop = (lines[at.clamp(0, side - 1)][:, None] for at in (before, after))
    share = (torch.arange(side) - low[:, None] + 1) / (high - low + 1)[:, None]
    return start + (stop - start) * share.clamp(0, 1)[:, :, None, None]
