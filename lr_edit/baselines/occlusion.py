"""Where the source words stand, by hiding squares alone: grounding before it knew whole things.

    ground(box) = drop(box) / largest drop - AREA * share of the image's area
    drop(box)   = cos(image, source words) - cos(image with the box hidden, source words)

Kept as the row that says what `lr_edit.edge_boxes` and seeing a box alone add. Squares cut things:
of 96 edits that one such box failed, most left a part of the old thing beside it.

Source: occlusion (Zeiler and Fergus, ECCV 2014, section 4.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lr_edit.boxes import snap_boxes
from lr_edit.edge_boxes import suppress
from lr_edit.frozen import ClipModel
from lr_edit.grounding import BATCH, Grounding, cosines, hide_boxes

STEP = 1 / 16  # of the side: between two places, and what a box is grown by at each side
AREA = 2.0  # what its share of the area costs a box; 1 to 4 do alike
OVERLAP = 0.7  # IoU from which two boxes are one
# Coarse to fine: squares at every second place, then the neighbours of the best so many that
# overlap less than `APART`, twice. 120 to 150 views in place of the 344 of every place.
SEARCH, APART = (4, 3), 0.5
LEAST, MOST = 3 * STEP, 14 * STEP  # sides of squares, as shares of the image's


def occlude_words(
    clip: ClipModel,
    image: Float[Tensor, "1 3 side side"],
    *,
    words: str,
    sizes: Sequence[float],
    points: int,
    cell: int,
) -> Grounding:
    """The squares that CLIP needs most to find words in an image.

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
    drops = whole - _hidden(clip, image, boxes=boxes, text=text)
    for count in SEARCH:
        best = suppress(
            boxes, occlusion_scores(boxes, drops, side=side), overlap=APART, count=count
        )
        new = _unseen(_neighbours(boxes[best], side=side), boxes)
        boxes = torch.cat([boxes, new])
        drops = torch.cat([drops, whole - _hidden(clip, image, boxes=new, text=text)])
    scores = occlusion_scores(boxes, drops, side=side)
    kept = suppress(boxes, scores, overlap=OVERLAP, count=points)
    margin, views = STEP * side, 1 + len(boxes)
    start, stop = boxes[kept, :2] - margin, boxes[kept, 2:] + margin
    grown = snap_boxes(start.double(), stop.double(), side=side, cell=cell)
    return Grounding(grown, scores[kept], float(drops.max()), views)


def occlusion_scores(
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


def _hidden(
    clip: ClipModel,
    image: Float[Tensor, "1 3 side side"],
    *,
    boxes: Int[Tensor, "n 4"],
    text: Float[Tensor, " d"],
) -> Float[Tensor, " n"]:
    """The cosine of the words with the image behind each hidden box; none where no box is new."""
    if not len(boxes):
        return torch.empty(0)
    return cosines(clip, (hide_boxes(image, part) for part in boxes.split(BATCH)), text=text)
