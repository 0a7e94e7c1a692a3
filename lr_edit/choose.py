"""Scored candidates -> one of them. Paper, inference. NumPy alone: its stages start in no time.

First a size at every anchor point (`pick_sizes`), then the anchor point (`choose`). Ties go to the
first; a candidate whose score is NaN never wins against one that has a score.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from lr_edit.errors import UserError
from lr_edit.types import Bank, Choice, LossWeights

Rule = Literal["net", "table", "random", "fixed"]
Rank = Literal["S", "loss"]


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

    net      the likeliest under AnchorNet's `probabilities` (paper, inference)
    table    the lowest loss: what a perfect net would pick
    random   any, by `rng` (paper, Table 2)
    fixed    `size` everywhere; UserError if the bank has fewer sizes

    Departure: the release draws Gumbel noise when it chooses; here the same net chooses the same.
    """
    points, sizes = bank.losses.shape[:2]
    if rule == "net":
        if probabilities is None:
            raise ValueError("the rule 'net' needs probabilities")
        return np.argmax(np.where(np.isnan(probabilities), -np.inf, probabilities), axis=-1)
    if rule == "table":
        return np.argmax(_merit(bank, "loss", weights), axis=-1)
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
    """The best of the picked candidates, one an anchor: highest S = 2 S_t2i + 1 S_i2i.

    Paper, inference. `rank="loss"` takes the lowest loss instead.
    """
    merit = np.take_along_axis(_merit(bank, rank, weights), sizes[:, None], axis=1)[:, 0]
    point = int(merit.argmax())
    return Choice(point=point, size=int(sizes[point]))


def best_of_bank(bank: Bank, *, rank: Rank = "S", weights: LossWeights = LossWeights()) -> Choice:
    """The best of all candidates: the ceiling of every way to pick sizes."""
    merit = _merit(bank, rank, weights)
    point, size = np.unravel_index(merit.argmax(), merit.shape)
    return Choice(point=int(point), size=int(size))


def best_of_likeliest(
    bank: Bank,
    count: int,
    *,
    likely: Float[np.ndarray, "points sizes"],
    rank: Rank = "S",
    weights: LossWeights = LossWeights(),
) -> Choice:
    """The best of the `count` pairs that are highest in `likely`: no other is painted."""
    order = np.argsort(-np.nan_to_num(likely, nan=-np.inf), axis=None, kind="stable")[:count]
    at = order[_merit(bank, rank, weights).flat[order].argmax()]
    point, size = divmod(int(at), likely.shape[1])
    return Choice(point=point, size=size)


def best_of_sample(
    bank: Bank,
    draws: int,
    *,
    rng: np.random.Generator,
    rank: Rank = "S",
    weights: LossWeights = LossWeights(),
) -> Choice:
    """The best of `draws` candidates drawn from all of them, none twice: what luck buys."""
    merit = _merit(bank, rank, weights)
    if draws > merit.size:
        raise UserError(f"{draws} draws do not exist: the candidates are {merit.size}")
    drawn = rng.permutation(merit.size)[:draws]
    point, size = divmod(int(drawn[merit.flat[drawn].argmax()]), merit.shape[1])
    return Choice(point=point, size=size)


def _merit(bank: Bank, rank: Rank, weights: LossWeights) -> Float[np.ndarray, "points sizes"]:
    """Higher is better, -inf where the score is NaN."""
    merit = bank.score if rank == "S" else -bank.loss(weights)
    return np.where(np.isnan(merit), -np.inf, merit)
