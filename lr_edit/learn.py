"""RoI features + table of losses -> a trained AnchorNet. Paper, section 3.3.

The frozen inpainter is a pure function, so every candidate's loss can stand in a table, and the
expected loss under pi is exact and differentiable:

    J(theta) = mean_p sum_k pi_theta(k | p) * loss[p, k]

One code path trains one net or many: nets of one image each are stacked and stepped together. Each
draws its start and its noise from its own seed, so that companions change nothing.

Departure: in the release no gradient reaches the net. Rows of losses are z-scored for learning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from lr_edit.anchor_net import AnchorNet, fresh_net

Learner = Literal["exact", "gumbel", "reinforce", "none"]

CHUNK = 8  # nets stepped together: as many as have RoI features that fit a processor's cache


@dataclass(frozen=True)
class Step:
    """The net after `step` updates: J on z-scored and on raw losses, entropy of pi in nats."""

    step: int
    expected_z: float
    expected_loss: float
    entropy: float


@dataclass(frozen=True)
class Learned:
    """A trained net and how it got there.

    state          AnchorNet's parameters
    curve          steps + 1 records, the start first
    probabilities  (points, sizes): pi at the end
    paid           candidates whose loss was read while learning
    """

    state: dict[str, Tensor]
    curve: tuple[Step, ...]
    probabilities: Float[Tensor, "points sizes"]
    paid: int


@dataclass(frozen=True)
class Recipe:
    """How a net is trained: Adam on one of the learners' objectives."""

    learner: Learner
    steps: int
    rate: float
    weight_decay: float


def row_z_scores(table: Float[Tensor, "*tasks points sizes"]) -> Float[Tensor, "*tasks points sizes"]:
    """Every anchor's losses less their mean, over their deviation; a constant row gives zeros.

    NaN is left out of both and then counts as its row's worst.
    """
    known = ~table.isnan()
    count = known.sum(-1, keepdim=True).clamp(min=1)
    mean = table.nansum(-1, keepdim=True) / count
    centred = torch.where(known, table - mean, 0.0)
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    z = torch.where(deviation > 1e-6 * mean.abs(), centred / deviation, 0.0)
    return torch.where(known, z, z.amax(-1, keepdim=True))


def learn(
    rois: Float[Tensor, "points sizes channels 8 8"],
    table: Float[Tensor, "points sizes"],
    *,
    learner: Learner,
    seed: int,
    steps: int = 400,
    rate: float = 5e-3,
    weight_decay: float = 0.0,
) -> Learned:
    """Train one net on one task; the learners are those of `learn_many`."""
    recipe = Recipe(learner, steps, rate, weight_decay)
    return _learn_chunk(rois[None], table[None], recipe=recipe, seeds=[seed])[0]


def learn_many(
    rois: Float[Tensor, "tasks points sizes channels 8 8"],
    tables: Float[Tensor, "tasks points sizes"],
    *,
    learner: Learner,
    seeds: Sequence[int],
    steps: int = 400,
    rate: float = 5e-3,
    weight_decay: float = 0.0,
) -> Iterator[Learned]:
    """Train a net of its own for every task; yields them in order, one seed each.

    exact      the gradient of J; reads the whole table
    gumbel     straight-through Gumbel-softmax (paper, section 3.3); reads whole rows as well
    reinforce  the score function on one sampled size an anchor and step; pays for what it samples
    none       no step: the start, which is what the release amounts to
    """
    recipe = Recipe(learner, steps, rate, weight_decay)
    for i in range(0, len(rois), CHUNK):
        chunk = slice(i, i + CHUNK)
        yield from _learn_chunk(rois[chunk], tables[chunk], recipe=recipe, seeds=seeds[chunk])


def _learn_chunk(
    rois: Float[Tensor, "tasks points sizes channels 8 8"],
    tables: Float[Tensor, "tasks points sizes"],
    *,
    recipe: Recipe,
    seeds: Sequence[int],
) -> list[Learned]:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    nets = [fresh_net(rois.shape[3], rois.shape[2], generator=g) for g in generators]
    steps = 0 if recipe.learner == "none" else recipe.steps
    noise = torch.stack([_gumbel_noise((steps, *tables.shape[1:]), g) for g in generators])
    parameters, forward = _stack(nets, rois)
    optimiser = torch.optim.Adam(
        parameters.values(), lr=recipe.rate, weight_decay=recipe.weight_decay
    )
    read = torch.full_like(tables, recipe.learner in ("exact", "gumbel"), dtype=torch.bool)
    curve = [_measure(log_pi := forward(), tables)]
    for step in range(steps):
        sample = _one_hot(log_pi.detach() + noise[:, step])
        if recipe.learner == "reinforce":
            read |= sample.bool()
        z_scores = row_z_scores(torch.where(read, tables, torch.nan))
        weights = _weights(recipe.learner, log_pi, sample=sample, noise=noise[:, step])
        loss = (weights * z_scores).sum(-1).mean(-1)  # (tasks,): each net has its own
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        curve.append(_measure(log_pi := forward(), tables))
    return [
        Learned(
            state={name: value[i].detach().clone() for name, value in parameters.items()},
            curve=tuple(Step(n, *row.tolist()) for n, row in enumerate(rows)),
            probabilities=log_pi[i].detach().exp(),
            paid=int(read[i].sum()),
        )
        for i, rows in enumerate(torch.stack(curve, dim=1))
    ]


def _weights(
    learner: Learner,
    log_pi: Float[Tensor, "tasks points sizes"],
    *,
    sample: Float[Tensor, "tasks points sizes"],
    noise: Float[Tensor, "tasks points sizes"],
) -> Float[Tensor, "tasks points sizes"]:
    """What the losses are multiplied with: its gradient is the learner's."""
    if learner == "exact":
        return log_pi.exp()
    if learner == "gumbel":  # forward the sample, backward the softmax
        soft = (log_pi + noise).softmax(-1)
        return sample + soft - soft.detach()
    return sample * log_pi


def _measure(
    log_pi: Float[Tensor, "tasks points sizes"], tables: Float[Tensor, "tasks points sizes"]
) -> Float[Tensor, "tasks 3"]:
    """(J on z-scored losses, J on raw losses, entropy), means over the anchor points."""
    log_pi = log_pi.detach()
    pi = log_pi.exp()
    terms = [pi * row_z_scores(tables), pi * tables, -pi * log_pi]
    return torch.stack([term.sum(-1).mean(-1) for term in terms], dim=-1)


def _stack(
    nets: list[AnchorNet], rois: Float[Tensor, "tasks points sizes channels 8 8"]
) -> tuple[dict[str, Tensor], Callable[[], Float[Tensor, "tasks points sizes"]]]:
    """The nets' parameters with a leading task axis, and their joint forward pass."""
    parameters, _ = stack_module_state(nets)
    # The order in memory in which AnchorNet reads, so that no step copies: sizes, channels, points.
    rois = rois.permute(0, 2, 3, 1, 4, 5).contiguous().permute(0, 3, 1, 2, 4, 5)

    def run(own: dict[str, Tensor], seen: Tensor) -> Tensor:
        return functional_call(nets[0], own, (seen,))

    return parameters, lambda: vmap(run)(parameters, rois)


def _one_hot(scores: Float[Tensor, "tasks points sizes"]) -> Float[Tensor, "tasks points sizes"]:
    """1 at the highest of every row."""
    return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)


def _gumbel_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise: the argmax of log pi plus it is a sample of pi."""
    return -torch.empty(shape).exponential_(generator=generator).log()
