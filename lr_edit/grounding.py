"""Where the source words stand: boxes that hold whole things, ranked by CLIP with and without them.

    ground(box) = (missed(box) + alone(box) + whole(box) - 2 * share of the image's area) / 4
    missed(box) = cos(image, source words) - cos(image with the box hidden, source words)
    alone(box)  = cos(the box alone on plain ground, source words)
    whole(box)  = what `edge_boxes` says of it

each of the three from 0 for the least of the boxes to 1 for the greatest.

Departure: the paper takes anchors from DINO, which has not read the words. Occlusion is from Zeiler
and Fergus, ECCV 2014, section 4.2; a box is hidden behind what its own border shows, since the mean
colour of the image would be a thing of its own. Boxes seen alone are from ReCLIP (Subramanian et
al., ACL 2022). Neither a truth nor a judge is read.

What is assumed of CLIP, and may fail on photos: that a hidden thing is missed (drops are small
there, hence the span from 0 to 1); that colours go with their nouns (beside a blue cup, "a red
boat" is not a blue boat); that a thing ends where the picture changes: things that touch are one,
and one of many parts is many. A box is grown by a share of the side, not by a latent cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lr_edit.boxes import snap_boxes
from lr_edit.edge_boxes import GRID, OVERLAP, EdgeMap, edge_boxes, grow_boxes, suppress
from lr_edit.frozen import ClipModel
from lr_edit.inpaint import box_masks

TRIED = 40  # rectangles that CLIP is asked about: on val and train 98% of things have one
BATCH = 32  # views at once
RING = 1 / 32  # of the side: what is about a box and gives the ground on which it is seen alone


@dataclass(frozen=True)
class Grounding:
    """Boxes for the source words, the best first.

    boxes   (n, 4) int: pixels, grown and snapped to the latent grid
    scores  (n,) float: `ground` of the boxes before they were grown, higher is better
    drop    the largest of what is missed: a small one says that CLIP does not find the words
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
    points: int,
    cell: int,
) -> Grounding:
    """The boxes in which CLIP finds words in an image.

    Args:
        clip: The scoring CLIP.
        image: The source, in [0, 1].
        words: What is edited: "a red boat".
        points: Boxes at most; fewer where no more are apart.
        cell: Pixels of a latent cell.

    Returns:
        Boxes, their scores, and what finding them cost.

    Source: this project; see the module.
    """
    side, edges = image.shape[-1], EdgeMap(image)
    tried, whole = edge_boxes(edges, count=TRIED)
    boxes = (tried * side / GRID).round().long()
    text = clip.embed_texts([words])[0]
    drops = float(clip.embed_images(image)[0] @ text) - cosines(
        clip, (hide_boxes(image, part) for part in boxes.split(BATCH)), text=text
    )
    alone = cosines(clip, (show_alone(image, part) for part in boxes.split(BATCH)), text=text)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1) / side**2
    scores = (_spread(drops) + _spread(alone) + _spread(whole) - 2 * area) / 4
    grown = grow_boxes(edges, tried).double() * side / GRID
    snapped = snap_boxes(grown[:, :2], grown[:, 2:], side=side, cell=cell)
    best = suppress(snapped, scores, overlap=OVERLAP, count=points)
    return Grounding(
        snapped[best],
        scores[best].float(),
        float(drops.max()),
        views=1 + 2 * len(boxes),
    )


def hide_boxes(
    image: Float[Tensor, "1 3 side side"], boxes: Int[Tensor, "n 4"]
) -> Float[Tensor, "n 3 side side"]:
    """The image with each box filled from its border: the mean of two linear interpolations, from
    left to right and from top to bottom. A side on the frame takes what the opposite one shows."""
    left, top, right, bottom = boxes.unbind(-1)
    across = _bridge(image[0].permute(2, 0, 1), left, high=right).permute(0, 2, 3, 1)
    down = _bridge(image[0].permute(1, 0, 2), top, high=bottom).permute(0, 2, 1, 3)
    return torch.where(box_masks(boxes, side=image.shape[-1]), (across + down) / 2, image)


def show_alone(
    image: Float[Tensor, "1 3 side side"], boxes: Int[Tensor, "n 4"]
) -> Float[Tensor, "n 3 side side"]:
    """Each box at its place, and all about it in the median colour of the pixels next to it."""
    side, views = image.shape[-1], []
    ring = max(1, round(RING * side))
    around = torch.cat([boxes[:, :2] - ring, boxes[:, 2:] + ring], -1)
    masks = box_masks(boxes, side=side)
    rings = box_masks(around.clamp(0, side), side=side) & ~masks
    for mask, near in zip(masks, rings, strict=True):
        ground = image[0][:, near[0]].median(-1).values[:, None, None]
        views.append(torch.where(mask, image[0], ground))
    return torch.stack(views)


def cosines(
    clip: ClipModel, views: Iterator[Float[Tensor, "_ 3 side side"]], *, text: Float[Tensor, " d"]
) -> Float[Tensor, " n"]:
    """The cosine of the words with each view, batch by batch."""
    return torch.cat([(clip.embed_images(batch) @ text).cpu() for batch in views])


def _spread(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """From 0 for the least to 1 for the greatest; 0 where all are one."""
    low, high = values.aminmax()
    return (values - low) / (high - low).clamp(min=1e-6)


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
