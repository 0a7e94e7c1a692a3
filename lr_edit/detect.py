"""Regions by a detector, beside the method's own: its boxes for the source words, and, where the
set asks for them, outlines inside them.

Everything after the boxes is everybody's: the same inpainter, noise, scores and judges.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from lr_edit.boxes import pixels_to_cells, snap_boxes
from lr_edit.config import Config
from lr_edit.edge_boxes import OVERLAP, suppress
from lr_edit.frozen import Inpainter
from lr_edit.frozen.detectors import Detector, Segmenter
from lr_edit.frozen.models import Models
from lr_edit.frozen.wrapped import WrappedInpainter
from lr_edit.grounding import Grounding
from lr_edit.inpaint import noise_seed
from lr_edit.method import make_bank
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import SEAM, Proposed, keep_in_picture
from lr_edit.saliency import compute_saliency
from lr_edit.types import Bank, EditTask, Sampler

Outlines = dict[tuple[int, ...], Tensor]  # a box -> what of it is inpainted, bool (side, side)


def detected_bank(
    models: Models,
    task: EditTask,
    *,
    detector: Detector,
    segmenter: Segmenter | None,
    source: UInt8[Tensor, "3 side side"],
    config: Config,
    how: ProposalSet,
) -> tuple[Bank, UInt8[Tensor, "n 1 3 side side"]]:
    """A detector's boxes for the source words, inpainted and scored as all candidates are.

    How sure the detector is stands where grounding's scores do, so that `rank: ground` takes its
    best box. With a segmenter only its outline in each box is filled.
    """
    image, side, cell = source[None].float() / 255, source.shape[-1], config.models.cell
    found = detect_words(
        detector, image, words=task.source, points=how.propose.points, cell=cell, seam=SEAM
    )
    if segmenter is not None:
        feather = how.inpaint.feather
        masks = draw_outlines(segmenter, image, boxes=found.boxes, grow=feather)
        boxes = torch.stack([_about(mask, side=side, cell=cell) for mask in masks])
        outlines = {tuple(box.tolist()): one for box, one in zip(boxes, masks, strict=True)}
        found = replace(found, boxes=boxes)
        models = replace(models, inpainter=Outlined(models.inpainter, outlines, feather=feather))
    proposed = propose_found(models, task, found=found, source=source, config=config, how=how)
    return make_bank(models, task, source=source, config=config, how=how, proposed=proposed)


def propose_found(
    models: Models,
    task: EditTask,
    *,
    found: Grounding,
    source: UInt8[Tensor, "3 side side"],
    config: Config,
    how: ProposalSet,
) -> Proposed:
    """What `propose` gives, for boxes that a detector found."""
    maps = compute_saliency(
        models, task, source=source, config=config, proposals=how,
        seed=noise_seed(task.id, config.study.seed),
    )  # fmt: skip
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    anchors = pixels_to_cells(middle, grid=maps.attention.shape, side=source.shape[-1])
    every = replace(maps, grounding=found), anchors, found.boxes[:, None]
    return keep_in_picture(every, models.part)


def detect_words(
    detector: Detector,
    image: Float[Tensor, "1 3 side side"],
    *,
    words: str,
    points: int,
    cell: int,
    seam: int = 0,
) -> Grounding:
    """The boxes that a detector has for words, as grounding gives its own.

    Args:
        detector: A frozen model, as `frozen.detectors.Detector` describes it.
        image: The source, in [0, 1].
        words: What is edited: "a red boat".
        points: Boxes at most; fewer where no more are apart.
        cell: Pixels of a latent cell.
        seam: Pixels by which a box is grown, as the true box is.

    Returns:
        Boxes, grown and snapped to the latent grid, the detector's surest first, and how sure it
        is. There always are some: no threshold asks whether the words name anything.
    """
    side, found = image.shape[-1], detector.find(image, words)
    start, stop = (found.boxes[:, :2] - seam).double(), (found.boxes[:, 2:] + seam).double()
    snapped = snap_boxes(start, stop, side=side, cell=cell)
    best = suppress(snapped, found.scores, overlap=OVERLAP, count=points)
    return Grounding(snapped[best], found.scores[best], float(found.scores[best[0]]), views=0)


class Outlined(WrappedInpainter):
    """An inpainter that fills, of a box, only what lies in an outline, and fades beyond it.

    outlines  by box; a box that has none is filled as a whole
    """

    def __init__(self, inpainter: Inpainter, outlines: Outlines, *, feather: int) -> None:
        super().__init__(inpainter)
        self._outlines, self._feather = outlines, feather

    def inpaint(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 side side"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 side side"]:
        """The image with what lies in each outline filled."""
        inside = torch.stack([self._outlines.get(_box_of(one), one[0])[None] for one in masks])
        made = self.inpainter.inpaint(image, prompt, masks=inside, noise=noise, sampler=sampler)
        weight = feather_mask(inside, feather=self._feather).to(made)
        return weight * made + (1 - weight) * image.to(made)


def feather_mask(
    masks: Bool[Tensor, "n 1 side side"], *, feather: int
) -> Float[Tensor, "n 1 side side"]:
    """0 outside of each mask, rising inward to 1 over `feather` pixels from its edge.

    Example:
        >>> mask = torch.tensor([[[[False, True], [False, False]]]])
        >>> feather_mask(mask, feather=0)
        tensor([[[[0., 1.],
                  [0., 0.]]]])
    """
    solid = masks.float()
    soft = F.avg_pool2d(F.pad(solid, (feather,) * 4, mode="replicate"), 2 * feather + 1, stride=1)
    return (2 * soft - 1).clamp(0, 1) * solid


def draw_outlines(
    segmenter: Segmenter,
    image: Float[Tensor, "1 3 side side"],
    *,
    boxes: Int[Tensor, "n 4"],
    grow: int,
) -> Bool[Tensor, "n side side"]:
    """An outline in each box, grown by so many pixels, so that a seam fades beyond the thing; all
    of the box where the segmenter sees nothing in it."""
    masks = segmenter.segment(image, boxes)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        if not mask.any():
            mask[top:bottom, left:right] = True
    return F.max_pool2d(masks[:, None].float(), 2 * grow + 1, 1, grow)[:, 0] > 0


def _about(mask: Bool[Tensor, "side side"], *, side: int, cell: int) -> Int[Tensor, "4"]:
    """The box on the latent grid about a mask."""
    left, top, right, bottom = _box_of(mask[None])
    start, stop = torch.tensor([[left, top], [right, bottom]]).double()
    return snap_boxes(start, stop, side=side, cell=cell)


def _box_of(mask: Bool[Tensor, "1 side side"]) -> tuple[int, ...]:
    down, across = (mask[0].any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return across[0], down[0], across[-1] + 1, down[-1] + 1
