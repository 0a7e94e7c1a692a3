"""The method on one page: propose boxes, inpaint candidates, score them, learn which size to choose
at every anchor, choose. Lin et al., CVPR 2024, figure 2. The stages call these same functions.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import UInt8
from torch import Tensor

from lr_edit.choose import choose, pick_sizes
from lr_edit.config import Config, ProposalSet, Variant
from lr_edit.frozen import AnchorModel, ClipModel
from lr_edit.inpaint import Paints, noise_seed, paint_candidates
from lr_edit.learn import Learned
from lr_edit.proposals import draw_boxes
from lr_edit.propose import anchor_points
from lr_edit.teacher import score_candidates
from lr_edit.types import Bank, Choice, EditTask


@dataclass(frozen=True)
class Models:
    """The three frozen models."""

    anchors: AnchorModel
    clip: ClipModel
    inpainter: Paints


def make_bank(
    models: Models,
    task: EditTask,
    source: UInt8[Tensor, "3 s s"],
    *,
    config: Config,
    how: ProposalSet,
) -> tuple[Bank, UInt8[Tensor, "points sizes 3 s s"]]:
    """Propose boxes, inpaint every one, score: all the diffusion that a task ever needs."""
    p, side, seed = config.propose, source.shape[-1], noise_seed(task.id, config.study.seed)
    seen = resized(source, side=config.models.attention_side)
    attention, features = models.anchors.attention(seen)[0], models.anchors.features(seen)[0]
    anchors = anchor_points(attention, points=p.points, distance=p.distance, margin=p.margin)
    boxes = draw_boxes(task, anchors, proposals=how, grid=tuple(attention.shape), side=side,
                       cell=config.models.cell, sizes=p.sizes, seed=seed)  # fmt: skip
    before = models.inpainter.evaluations
    images = paint_candidates(models.inpainter, source, task.prompt, boxes, seed=seed,
                              feather=config.inpaint.feather, batch=config.inpaint.batch)  # fmt: skip
    spent = models.inpainter.evaluations - before
    losses, cosines = score_candidates(models.clip, task, source, images, score=config.score)
    arrays = (part.numpy() for part in (boxes, losses, cosines, anchors, attention, features))
    return Bank(*arrays, evaluations=spent), images


def edit(
    bank: Bank, variant: Variant, *, task: str, side: int, seed: int
) -> tuple[Learned, Choice]:
    """Learn a size for every anchor from the table of losses, then take the best anchor."""
    learned = learn_sizes([task], [bank], variant, side=side, seed=seed)[0]
    sizes = pick_sizes("net", bank, probabilities=learned.probabilities)
    return learned, choose(bank, sizes, rank=variant.rank, weights=variant.losses)
