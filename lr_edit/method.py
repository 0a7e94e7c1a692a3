"""The method on one page: propose, inpaint, score, learn sizes, choose. Lin et al., CVPR 2024,
figure 2. Sources are uint8 (3, side, side), candidates (points, sizes, 3, side, side)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lr_edit.anchor_net import bank_rois
from lr_edit.choose import choose, pick_sizes
from lr_edit.config import Config
from lr_edit.frozen.models import Models
from lr_edit.inpaint import inpaint_candidates, noise_seed
from lr_edit.learn import Learned, learn_many
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import ground_of, propose, task_with_prompt
from lr_edit.saliency import Saliency
from lr_edit.score import score_candidates
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.variant import Variant


# fmt: off
def make_bank(models: Models, task: EditTask, *, source: Tensor, config: Config, how: ProposalSet,
              proposed: tuple[Saliency, Tensor, Tensor] | None = None) -> tuple[Bank, Tensor]:
    """Propose boxes, inpaint every one, score: all the diffusion a task ever needs."""
    maps, anchors, boxes = proposed or propose(models, task, source=source, config=config, how=how)
    noise = noise_seed(task.id, config.study.seed + how.noise_seed)
    task = task_with_prompt(task, proposals=how)
    images, nfe = inpaint_candidates(
        models.inpainter, source, prompt=task.prompt, boxes=boxes, sampler=how.inpaint.sampler,
        noise=how.noise, seed=noise, feather=how.inpaint.feather, batch=how.inpaint.batch)
    losses, cosines = score_candidates(
        models.clip, task, source=source, images=images, score=config.score)
    return Bank(
        boxes.numpy(), losses.cpu().numpy(), cosines.cpu().numpy(), anchors.numpy(),
        maps.attention.numpy(), maps.features.numpy(), maps.relevance.numpy(),
        maps.nfe + nfe, ground_of(maps, boxes), maps.views), images


def learn_sizes(tasks: Sequence[str], banks: Sequence[Bank], *, variant: Variant,
                side: int, seed: int, device: str = "cpu") -> Iterator[Learned]:
    """One AnchorNet per image, from its table of losses: no inpainting, no words."""
    tables = torch.stack([torch.from_numpy(bank.loss(variant.losses)).float() for bank in banks])
    return learn_many(bank_rois(banks, side=side, device=device), tables.to(device),
        learner=variant.learner, steps=variant.steps, rate=variant.rate,
        weight_decay=variant.weight_decay, seeds=[noise_seed(task, seed) for task in tasks])


def edit(models: Models, task: EditTask, *, source: Tensor, config: Config, variant: Variant
         ) -> tuple[Tensor, Choice, Bank]:
    """Text-driven editing of one image: all candidates, which of them is the edit, and why."""
    how, side, seed = config.proposals[variant.proposals], source.shape[-1], config.study.seed
    bank, images = make_bank(models, task, source=source, config=config, how=how)
    net = next(learn_sizes([task.id], [bank], variant=variant, side=side, seed=seed,
                           device=models.device))
    sizes = pick_sizes("net", bank, probabilities=net.probabilities.numpy())
    return images, choose(bank, sizes, rank=variant.rank, weights=variant.losses), bank
