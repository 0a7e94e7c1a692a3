"""RoI features + table of losses -> a trained AnchorNet. Paper, training.

The frozen inpainter is a pure function, so every candidate's loss can stand in a table, and the
expected loss under pi is exact and differentiable:

    J(theta) = mean_p sum_k pi_theta(k | p) * loss[p, k]

Nets are trained where their features lie. On a GPU those of many tasks take each step together, as
one stack of parameters. On the CPU they are trained one after the other, each from its own seed:
a stack would differ in the last bits with the number of companions. Random numbers are drawn on the
CPU everywhere, each net's from its own generator.

Departure: in the release no gradient reaches the net. Rows of losses are z-scored for learning, and
an entropy bonus fades out over the first half of the steps: without it pi settles on one size for
all anchors before the net can tell them apart, and softmax then passes no gradient. Share of the
gap from start to floor that is closed (16 simulated tasks with neighbouring anchors; tables of pure
noise / tables that follow overlap and size): 38% / 53% without the bonus after 400 steps, 99% / 97%
with it after 200.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F

from lr_edit.anchor_net import fresh_net

Learner = Literal["exact", "gumbel", "reinforce", "leave-one-out", "none"]

SAMPLES = {"gumbel": 1, "reinforce": 1, "leave-one-out": 2}  # per anchor and step
TOLERANCE = 1e-3  # of a probability: nets in a stack against the same nets one by one
ENTROPY = 1.0  # the bonus at the first step, in z-scored losses per nat


@dataclass(frozen=True)
class LearningStep:
    """The net after `step` updates: J on z-scored and on raw losses, entropy of pi in nats."""

    step: int
    expected_z: float
    expected_loss: float
    entropy: float


@dataclass(frozen=True)
class Learned:
    """A trained net and how it got there.

    state            AnchorNet's parameters
    curve            steps + 1 records, the start first
    probabilities    (points, sizes): pi at the end
    candidates_used  candidates whose loss was read while learning
    """

    state: dict[str, Tensor]
    curve: tuple[LearningStep, ...]
    probabilities: Float[Tensor, "points sizes"]
    candidates_used: int


def row_z_scores(
    table: Float[Tensor, "*tasks points sizes"],
) -> Float[Tensor, "*tasks points sizes"]:
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


def learn_many(
    rois: Float[Tensor, "tasks points sizes channels 8 8"],
    tables: Float[Tensor, "tasks points sizes"],
    *,
    learner: Learner,
    seeds: Sequence[int],
    steps: int = 200,
    rate: float = 5e-3,
    weight_decay: float = 0.0,
) -> Iterator[Learned]:
    """A net of its own for every task, in order; see `learn`."""
    how: Any = {"learner": learner, "steps": steps, "rate": rate, "weight_decay": weight_decay}
    if rois.is_cuda:
        yield from learn_together(rois, tables, seeds=seeds, **how)
        return
    for own_rois, table, seed in zip(rois, tables, seeds, strict=True):
        yield learn(own_rois, table, seed=seed, **how)


def learn(
    rois: Float[Tensor, "points sizes channels 8 8"],
    table: Float[Tensor, "points sizes"],
    *,
    learner: Learner,
    seed: int,
    steps: int = 200,
    rate: float = 5e-3,
    weight_decay: float = 0.0,
) -> Learned:
    """Train one net on one task with Adam, as the paper does, on the device of the features.

    Args:
        rois: The features inside every box, as `roi_features` makes them.
        table: The loss of every candidate; lower is better.
        learner: "exact" takes the gradient of J and reads the whole table; "gumbel" is the paper's
            straight-through Gumbel-softmax, which reads whole rows as well; "reinforce" is the
            score function on one sampled size per anchor and step; "leave-one-out" the same on two,
            each less the other's loss (Kool et al. 2019); both read their samples alone. "none"
            takes no step: the start, which is what the release amounts to.
        seed: Of the start and of every draw.
        steps: Updates.
        rate: Adam's learning rate.
        weight_decay: Adam's L2 penalty.

    Returns:
        The net's parameters, its curve of steps + 1 records, and pi.

    Source: paper, section 3.3, training.

    Example:
        >>> table = torch.tensor([[0.2, 0.9], [0.8, 0.3]])
        >>> net = learn(torch.rand(2, 2, 3, 8, 8), table, learner="exact", seed=0, steps=2)
        >>> len(net.curve), net.probabilities.shape, net.candidates_used
        (3, torch.Size([2, 2]), 4)
    """
    generator = torch.Generator().manual_seed(seed)
    net = fresh_net(rois.shape[2], rois.shape[1], generator=generator).to(rois.device)
    rois = _in_reading_order(rois)
    path, read = _descend(
        lambda: net(rois), list(net.parameters()), table,
        learner=learner, generators=[generator], steps=steps, rate=rate, weight_decay=weight_decay,
    )  # fmt: skip
    return _learned(net.state_dict(), path, table=table, read=read)


def learn_together(
    rois: Float[Tensor, "tasks points sizes channels 8 8"],
    tables: Float[Tensor, "tasks points sizes"],
    *,
    learner: Learner,
    seeds: Sequence[int],
    steps: int = 200,
    rate: float = 5e-3,
    weight_decay: float = 0.0,
) -> list[Learned]:
    """What `learn` makes of every task, all nets in one stack: one step of Adam moves them all.

    After 200 steps of `exact` and `gumbel`, probabilities are within TOLERANCE of one by one
    (measured on 24 picture-book tasks: 3.1e-4 at most, expected losses 4e-7). `reinforce` and
    `leave-one-out` are too until rounding decides a draw: from there a net goes another way, as
    good as the first.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    channels, sizes = rois.shape[3], rois.shape[2]
    nets = [fresh_net(channels, sizes, generator=one).to(rois.device) for one in generators]
    stack, _ = stack_module_state(nets)
    forward = torch.vmap(lambda own, seen: functional_call(nets[0], own, (seen,)))
    rois = _in_reading_order(rois)
    path, read = _descend(
        lambda: forward(stack, rois), list(stack.values()), tables,
        learner=learner, generators=generators, steps=steps, rate=rate, weight_decay=weight_decay,
    )  # fmt: skip
    states = {name: value.detach().cpu() for name, value in stack.items()}
    path, tables, read = path.cpu(), tables.cpu(), read.cpu()
    return [
        _learned(
            {name: value[i] for name, value in states.items()},
            path[:, i],
            table=tables[i],
            read=read[i],
        )
        for i in range(len(tables))
    ]


def _descend(
    forward: Callable[[], Float[Tensor, "*tasks points sizes"]],
    parameters: list[Tensor],
    tables: Float[Tensor, "*tasks points sizes"],
    *,
    learner: Learner,
    generators: Sequence[torch.Generator],
    steps: int,
    rate: float,
    weight_decay: float,
) -> tuple[Float[Tensor, "records *tasks points sizes"], Bool[Tensor, "*tasks points sizes"]]:
    """Adam, from the parameters' start: log pi at the start and after every step, and which losses
    were read. Nets do not touch each other: the sum of their objectives has the gradient of each.
    """
    adam = torch.optim.Adam(parameters, lr=rate, weight_decay=weight_decay, fused=True)
    read = torch.full_like(tables, learner in ("exact", "gumbel"), dtype=torch.bool)
    z_scores = row_z_scores(tables)
    path = [log_pi := forward()]
    for step in range(0 if learner == "none" else steps):
        # Before the losses: gradients are summed in the order of use, which settles last bits.
        bonus = bonus_at(step, steps) * log_pi.exp() * log_pi
        if learner == "exact":
            weighted = log_pi.exp() * z_scores
        else:
            noise = _gumbel_noise(tables, generators, SAMPLES[learner])
            sample = _one_hot(log_pi.detach() + noise).sum(0)  # times drawn
            if learner != "gumbel":
                read |= sample.bool()
                z_scores = row_z_scores(torch.where(read, tables, torch.nan))
            weighted = _weighted(learner, log_pi, z_scores, sample=sample, noise=noise[0])
        adam.zero_grad()
        (weighted + bonus).sum(-1).mean(-1).sum().backward()
        adam.step()
        path.append(log_pi := forward())
    return torch.stack(path).detach(), read


def bonus_at(step: int, steps: int) -> float:
    """What a nat of entropy is worth at a step: it fades out over the first half."""
    return ENTROPY * max(0.0, 1 - 2 * step / steps)


def _weighted(
    learner: Learner,
    log_pi: Float[Tensor, "*tasks points sizes"],
    z_scores: Float[Tensor, "*tasks points sizes"],
    *,
    sample: Float[Tensor, "*tasks points sizes"],
    noise: Float[Tensor, "*tasks points sizes"],
) -> Float[Tensor, "*tasks points sizes"]:
    """Losses by a weight whose gradient is the learner's."""
    if learner == "gumbel":  # forward the sample, backward the softmax
        soft = (log_pi + noise).softmax(-1)
        return (sample + soft - soft.detach()) * z_scores
    if learner == "leave-one-out":  # a loss less its others' mean is k / (k - 1) (loss - mean)
        count = SAMPLES[learner]
        mean = (sample * z_scores).sum(-1, keepdim=True) / count
        return sample * log_pi / (count - 1) * (z_scores - mean)
    return sample * log_pi * z_scores


def _gumbel_noise(
    tables: Float[Tensor, "*tasks points sizes"],
    generators: Sequence[torch.Generator],
    samples: int,
) -> Float[Tensor, "samples *tasks points sizes"]:
    """Each net's from its own generator."""
    shape = samples, *tables.shape[-2:]
    draws = [torch.empty(shape).exponential_(generator=one) for one in generators]
    return -torch.stack(draws, 1).view(samples, *tables.shape).log().to(tables.device)


def _in_reading_order(
    rois: Float[Tensor, "*tasks points sizes channels 8 8"],
) -> Float[Tensor, "*tasks points sizes channels 8 8"]:
    """The same in memory as the net reads it, sizes, channels, points: so no step copies."""
    return rois.movedim(-5, -3).contiguous().movedim(-3, -5)


def _learned(
    state: dict[str, Tensor],
    path: Float[Tensor, "records points sizes"],
    *,
    table: Float[Tensor, "points sizes"],
    read: Bool[Tensor, "points sizes"],
) -> Learned:
    """On the CPU, whatever the device."""
    path = path.cpu()
    return Learned(
        state={name: value.clone().cpu() for name, value in state.items()},
        curve=_curve(path, table.cpu()),
        probabilities=path[-1].exp(),
        candidates_used=int(read.sum()),
    )


def _curve(
    path: Float[Tensor, "records points sizes"], table: Float[Tensor, "points sizes"]
) -> tuple[LearningStep, ...]:
    """Log probabilities after every step -> records, means over the anchor points."""
    pi = path.exp()
    terms = torch.stack([pi * row_z_scores(table), pi * table, -pi * path], dim=-1)
    rows = terms.sum(-2).mean(-2).tolist()  # (records, 3)
    return tuple(LearningStep(n, *row) for n, row in enumerate(rows))


def _one_hot(scores: Float[Tensor, "*n points sizes"]) -> Float[Tensor, "*n points sizes"]:
    """1 at the highest of every row."""
    return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
