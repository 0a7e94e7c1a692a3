"""Cheap previews of every candidate, full quality for the best. NumPy alone, no images.

Successive halving (Karnin et al. 2013, Jamieson and Talwalkar 2016) with rounds that differ in how
candidates are inpainted. `run_race` decides who goes on; how a round's candidates are scored is
its caller's: `budgeted_editor` inpaints them, a study reads the tables of its proposal sets
(`replay_tables`). Only what was inpainted at full quality, in the last round, can win.

Departure: the paper and its release inpaint every candidate at full quality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lr_edit.errors import UserError
from lr_edit.types import Bank, LossWeights, Merit

# (round, candidates) -> how good each is, higher is better, NaN if unknown; and their NFE.
ScoreRound = Callable[[int, Int[np.ndarray, " n"]], tuple[Float[np.ndarray, " n"], int]]


@dataclass(frozen=True)
class RaceResult:
    """Who won, by its index among the flattened candidates; its merit; how many candidates entered
    each round; the NFE of all rounds."""

    winner: int
    merit: float
    entered: tuple[int, ...]
    nfe: int


def run_race(
    score_round: ScoreRound, entrants: Int[np.ndarray, " n"], *, plan: Sequence[int]
) -> RaceResult:
    """Score the first `plan[0]` entrants, then in each round the best `plan[round]` of the last.

    Args:
        score_round: (round, candidates) -> (merit of each, higher is better; NFE). Equal merits
            keep their order, NaN comes last.
        entrants: Indices of the candidates, in the order in which they may enter.
        plan: How many enter each round, as `plan_rounds` makes it.

    Returns:
        The best of the last round.

    Example:
        >>> merit = np.array([0.1, 0.5, 0.3, 0.4])
        >>> run_race(lambda _, chosen: (merit[chosen], len(chosen)), np.arange(4), plan=(4, 2))
        RaceResult(winner=1, merit=0.5, entered=(4, 2), nfe=6)
    """
    alive, entered, nfe, best = entrants, [], 0, np.nan
    for level, count in enumerate(plan):
        merit, cost = score_round(level, alive[:count])
        order = np.argsort(-np.where(np.isnan(merit), -np.inf, merit), kind="stable")
        alive, best = alive[:count][order], merit[order[0]]
        entered.append(len(alive))
        nfe += cost
    return RaceResult(int(alive[0]), float(best), tuple(entered), nfe)


def plan_rounds(budget: int, costs: Sequence[int], *, candidates: int) -> tuple[int, ...]:
    """How many candidates enter each round.

    The rule: every candidate enters the first round, or as many as leave enough for one in each
    later round; what is left of `budget` then is shared equally by the later rounds, from the last,
    and what does not buy one more there goes to those before it.

    Args:
        budget: NFE of all rounds, at most.
        costs: NFE of one candidate in each round.
        candidates: How many there are.

    Raises:
        UserError: `budget` does not take one candidate through all rounds.

    Example:
        >>> plan_rounds(200, (1, 10), candidates=40)
        (40, 16)
    """
    if budget < sum(costs):
        raise UserError(
            f"a budget of {budget} UNet evaluations is too small: an edit takes {sum(costs)} at "
            "least"
        )
    first = min(candidates, (budget - sum(costs[1:])) // costs[0])
    left, plan = budget - first * costs[0], [first]
    for rounds in range(len(costs) - 1, 0, -1):
        plan.insert(1, min(first, max(1, left // rounds // costs[rounds])))
        left -= plan[1] * costs[rounds]
    return tuple(np.minimum.accumulate(plan).tolist())


def pick_entrants(
    boxes: Int[np.ndarray, "points sizes 4"],
    *,
    prior: Float[np.ndarray, "points sizes"] | None = None,
    count: int | None = None,
) -> Int[np.ndarray, " n"]:
    """Which candidates enter a race: the distinct boxes, in the order of their prior.

    Args:
        boxes: All boxes, pixels.
        prior: (Log) probabilities of a dataset-level AnchorNet, the highest first; without it, and
            among equal ones, boxes keep their order.
        count: The first so many; None takes all.

    Returns:
        Indices among the flattened boxes.

    Example:
        >>> boxes = np.array([[[0, 0, 8, 8], [0, 0, 16, 16]], [[0, 0, 8, 8], [8, 8, 16, 16]]])
        >>> pick_entrants(boxes, prior=np.array([[0.1, 0.2], [0.3, 0.4]]), count=2)
        array([3, 1])
    """
    _, first = np.unique(boxes.reshape(-1, 4), axis=0, return_index=True)
    order = np.sort(first)
    if prior is None:
        return order[:count]
    known = np.nan_to_num(prior.reshape(-1)[order], nan=-np.inf)
    return order[np.argsort(-known, kind="stable")][:count]


def nfe_each(bank: Bank) -> int:
    """NFE of one candidate; equal boxes were inpainted once."""
    return round(bank.nfe / len(np.unique(bank.boxes.reshape(-1, 4), axis=0)))


def replay_tables(
    banks: Sequence[Bank],
    *,
    costs: Sequence[int],
    rank: Merit = "S",
    weights: LossWeights = LossWeights(),
) -> ScoreRound:
    """Rounds that read the tables of what `budgeted_editor` would inpaint.

    Args:
        banks: The bank of one task for each round, of proposal sets that differ in `inpaint`.
        costs: NFE of one candidate in each round.
        rank: What makes a candidate good: S, or a low loss.
        weights: For "loss": the weights of the losses.

    Raises:
        UserError: The sets have not the same boxes.
    """
    for bank in banks:
        if not np.array_equal(bank.boxes, banks[-1].boxes):
            raise UserError("the sets of a race need the same boxes: let them differ in `inpaint`")

    def score_round(level: int, candidates: Int[np.ndarray, " n"]) -> tuple[np.ndarray, int]:
        good = banks[level].merit(rank, weights).reshape(-1)
        return good[candidates], costs[level] * len(candidates)

    return score_round
