"""Banks of many tasks -> one AnchorNet for images it has never seen (scope `dataset`).

A table of losses can be learned from wherever candidates were inpainted; the net then chooses on a
new image before any candidate is inpainted. Its scores are compared within an anchor, as the paper
does, and over all (anchor, size) pairs of a task, so that it predicts the top k to inpaint:

    J(theta) = mean_p sum_k pi(k | p) z[p, k]  +  sum_{p, k} q(p, k) z[p, k]

with pi and q the softmax of the same scores over a row and over the whole table, and z the losses
less their mean over the same, on one scale for all tasks: rows that hardly differ stay quiet, where
one image's net may as well learn them. The net is the release's, blind to the words, or reads one
channel more: the text relevance of the patches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lr_edit.anchor_net import AnchorNet, fresh_net
from lr_edit.learn import bonus_at


def training_set(tasks: int, count: int, *, seed: int) -> Int[Tensor, " count"]:
    """Which `count` of the tasks: the first of one shuffle, so that larger sets hold smaller.

    Raises:
        ValueError: There are fewer.

    Example:
        >>> small, large = training_set(9, 3, seed=0), training_set(9, 5, seed=0)
        >>> small.equal(large[:3])
        True
    """
    if count > tasks:
        raise ValueError(f"{count} tasks do not exist: there are {tasks}")
    return torch.randperm(tasks, generator=torch.Generator().manual_seed(seed))[:count]


def learn_amortised(
    rois: Float[Tensor, "tasks points sizes channels 8 8"],
    tables: Float[Tensor, "tasks points sizes"],
    *,
    seed: int,
    steps: int,
    rate: float,
    weight_decay: float,
    batch: int,
) -> AnchorNet:
    """Train one dataset-level net with AdamW, on the device of the features.

    Args:
        rois: The features inside every box of every task, as `bank_rois` makes them.
        tables: The loss of every candidate; lower is better.
        seed: Of the start and of the batches; numbers are drawn on the CPU.
        steps: Updates.
        rate: Adam's learning rate.
        weight_decay: Decoupled decay.
        batch: Tasks per step.

    Returns:
        The trained net; without any task its start.

    Example:
        >>> rois, tables = torch.rand(4, 2, 2, 3, 8, 8), torch.rand(4, 2, 2)
        >>> net = learn_amortised(
        ...     rois, tables, seed=0, steps=2, rate=5e-3, weight_decay=0.0, batch=2
        ... )
        >>> predict_log_probabilities([net], rois[0]).shape
        torch.Size([2, 2])
    """
    tasks, points, sizes, channels = rois.shape[:4]
    generator = torch.Generator().manual_seed(seed)
    net = fresh_net(channels, sizes, generator=generator).to(rois.device)
    adam = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
    # The order in memory in which the net reads: sizes, channels, then the points of all tasks.
    cells = rois.flatten(0, 1).permute(1, 2, 0, 3, 4).contiguous()
    rows, whole = _centred(tables), _centred(tables.flatten(1))
    within = torch.arange(points, device=rois.device)
    for step in range(steps if tasks else 0):
        drawn = torch.randperm(tasks, generator=generator)[:batch].to(rois.device)
        columns = (drawn[:, None] * points + within).flatten()
        scores = net.scores(cells.index_select(2, columns).permute(2, 0, 1, 3, 4))
        scores = scores.unflatten(0, (len(drawn), points))
        bonus = bonus_at(step, steps)
        loss = _expected(scores, rows[drawn], bonus) + _expected(
            scores.flatten(1), whole[drawn], bonus
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net


def _centred(tables: Float[Tensor, "*rows choices"]) -> Float[Tensor, "*rows choices"]:
    """Losses less their row's mean, over the deviation of all: how much a choice matters stays."""
    differences = tables - tables.mean(-1, keepdim=True)
    return differences / differences.square().mean().sqrt()


def _expected(
    scores: Float[Tensor, "*rows choices"], losses: Float[Tensor, "*rows choices"], bonus: float
) -> Float[Tensor, ""]:
    """The mean over rows of the expected loss, less `bonus` times the entropy in nats."""
    log_pi = scores.log_softmax(-1)
    return (log_pi.exp() * (losses + bonus * log_pi)).sum(-1).mean()


@torch.no_grad()
def predict_log_probabilities(
    nets: Sequence[AnchorNet], rois: Float[Tensor, "points sizes channels 8 8"]
) -> Float[Tensor, "points sizes"]:
    """log q(point, size), before any candidate is inpainted, q the mean over the nets.

    The softmax of a row is pi(size | point). Logarithms, since an improbable row may underflow.
    """
    tables = [net.scores(rois).flatten().log_softmax(0).view(rois.shape[:2]) for net in nets]
    return torch.stack(tables).logsumexp(0) - math.log(len(nets))
