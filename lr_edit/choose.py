"""Scored candidates -> one of them. Paper, inference. NumPy alone: its stages start in no time.

First a size at every anchor point (`pick_sizes`), then the anchor point (`choose`). Ties go to the
first; a candidate whose score is NaN never wins against one that has a score.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from lr_edit.errors import UserError
from lr_edit.types import S_WEIGHTS, Bank, Choice, LossWeights, Merit

Rule = Literal["net", "table", "random", "fixed"]
Rank = Merit | Literal["released"]

SHORTLIST = 3  # of the release


def pick_sizes(
    rule: Rule,
    bank: Bank,
    *,
    probabilities: Float[np.ndarray, "points sizes"] | None = None,
    size: int = 0,
    weights: LossWeights = LossWeights(),
    rng: np.random.Generator | None = None,
) -> Int[np.ndarray, " points"]:
    """The index of one size at every anchor point.

    Departure: the release draws Gumbel noise when it chooses; here the same net chooses the same.

    Args:
        rule: "net" takes the size of highest probability (paper, section 3.4), "table" that of
            lowest loss, which a perfect net would pick, "random" any (paper, Table 2), "fixed"
            `size` everywhere.
        bank: The candidates.
        probabilities: For "net": pi(size | point), or its logarithm; NaN never wins.
        size: For "fixed": an index into the bank's sizes.
        weights: For "table": the weights of the losses.
        rng: For "random": what is drawn from.

    Returns:
        An index into the sizes for every anchor.

    Raises:
        UserError: The bank has no such `size`.
        ValueError: The rule lacks its argument.
    """
    points, sizes = bank.losses.shape[:2]
    if rule == "net":
        if probabilities is None:
            raise ValueError("the rule 'net' needs probabilities")
        return np.argmax(np.where(np.isnan(probabilities), -np.inf, probabilities), axis=-1)
    if rule == "table":
        loss = bank.loss(weights)
        return np.argmin(np.where(np.isnan(loss), np.inf, loss), axis=-1)
    if rule == "random":
        if rng is None:
            raise ValueError("the rule 'random' needs a generator")
        return rng.integers(sizes, size=(points,))
    if not 0 <= size < sizes:
        raise UserError(f"size {size} does not exist: the candidates have sizes 0 to {sizes - 1}")
    return np.full(points, size)


def choose(
    bank: Bank,
    sizes: Int[np.ndarray, " points"],
    *,
    rank: Rank = "S",
    weights: LossWeights = LossWeights(),
) -> Choice:
    """The best of the picked candidates, one per anchor: highest S = 2 S_t2i + 1 S_i2i.

    Args:
        bank: The candidates.
        sizes: The index of the size that was picked at every anchor.
        rank: "loss" takes the lowest loss instead; "released" is what the release does: softmaxes
            of both cosines over the candidates that compete, and of the three with the highest
            text cosine the one with the highest sum.
        weights: For "loss": the weights of the losses.

    Source: paper, section 3.4.

    Example:
        >>> scores = np.array([[[0.2, 0.9], [0.3, 0.8]], [[0.4, 0.9], [0.1, 0.9]]])
        >>> bank = Bank(
        ...     boxes=np.zeros((2, 2, 4), int), losses=np.zeros((2, 2, 3)), cosines=scores,
        ...     anchors=np.zeros((2, 2), int), attention=np.ones((4, 4)),
        ...     features=np.ones((1, 4, 4)), relevance=np.ones((4, 4)), nfe=40,
        ... )
        >>> choose(bank, np.array([1, 0]))
        Choice(point=1, size=0)
    """
    drawn = np.arange(len(sizes)) * bank.losses.shape[1] + sizes
    return _best_of(bank, drawn, rank=rank, weights=weights)


def best_of_bank(bank: Bank, *, rank: Rank = "S", weights: LossWeights = LossWeights()) -> Choice:
    """The best of all candidates: the ceiling of every way to pick sizes; `rank` as in `choose`."""
    every = np.arange(bank.losses[..., 0].size)
    return _best_of(bank, every, rank=rank, weights=weights)


def best_of_top_k(
    bank: Bank,
    count: int,
    *,
    probabilities: Float[np.ndarray, "points sizes"],
    rank: Rank = "S",
    weights: LossWeights = LossWeights(),
) -> Choice:
    """The best of the top `count` pairs by (log) probability: no other need be inpainted."""
    order = np.argsort(-np.nan_to_num(probabilities, nan=-np.inf), axis=None, kind="stable")[:count]
    return _best_of(bank, order, rank=rank, weights=weights)


def best_of_sample(
    bank: Bank,
    draws: int,
    *,
    rng: np.random.Generator,
    rank: Rank = "S",
    weights: LossWeights = LossWeights(),
) -> Choice:
    """Best of k random candidates, k = `draws`, without replacement: the random-k baseline."""
    every = bank.losses[..., 0].size
    if draws > every:
        raise UserError(f"{draws} draws do not exist: the candidates are {every}")
    return _best_of(bank, rng.permutation(every)[:draws], rank=rank, weights=weights)


def _best_of(
    bank: Bank, drawn: Int[np.ndarray, " n"], *, rank: Rank, weights: LossWeights
) -> Choice:
    """The best of the candidates with these numbers, counted row by row."""
    if rank == "released":
        good = _as_released(bank.cosines.reshape(-1, 2)[drawn])
    else:
        good = bank.merit(rank, weights).reshape(-1)[drawn]
    best = int(drawn[np.where(np.isnan(good), -np.inf, good).argmax()])
    return Choice(*divmod(best, bank.losses.shape[1]))


def _as_released(cosines: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Sums of shares, for the three with the highest text cosine; NaN for the others."""
    share = np.exp(cosines)
    share = share / np.nansum(share, axis=0)
    text = np.where(np.isnan(share[:, 0]), -np.inf, share[:, 0])
    shortlist = np.argsort(-text, kind="stable")[:SHORTLIST]
    good = np.full(len(cosines), np.nan)
    good[shortlist] = share[shortlist] @ S_WEIGHTS
    return good
