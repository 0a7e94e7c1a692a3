"""The race: a cheap look at every candidate, full quality for the best. NumPy alone, no pictures.

Successive halving (Karnin et al. 2013, Jamieson and Talwalkar 2016) with rounds that differ in how
candidates are painted. `race` decides who goes on; what a round sees is its caller's: the command
line paints (`live`), a study reads the tables of its proposal sets (`replay`). Only what was
painted at full quality, in the last round, can win.

Departure: the paper and its release paint every candidate at full quality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lr_edit.errors import UserError
from lr_edit.types import Bank, LossWeights, Merit

# (round, candidates) -> how good each is, higher better, NaN if unknown; UNet evaluations spent.
ScoreRound = Callable[[int, Int[np.ndarray, " n"]], tuple[Float[np.ndarray, " n"], int]]


@dataclass(frozen=True)
class RaceResult:
    """Who won, by its index among the flattened candidates; its merit; how many were painted in
    each round; the UNet evaluations they cost."""

    winner: int
    merit: float
    entered: tuple[int, ...]
    nfe: int


def run_race(
    score_round: ScoreRound, entrants: Int[np.ndarray, " n"], *, plan: Sequence[int]
) -> RaceResult:
    """Paint the first `plan[0]` entrants, then in each round the best `plan[round]` of the last.

    Equal candidates keep the order of `entrants`; one whose merit is NaN comes last.
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
    """How many enter each round, where one costs `costs[round]` UNet evaluations in it.

    The rule: every candidate enters the first round, or as many as leave enough for one in each
    later round; what is left of `budget` then is shared equally by the later rounds, from the last,
    and what does not buy one more there goes to those before it. UserError if `budget` does not
    take one candidate through all rounds.
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
    """Indices of the distinct boxes, the likeliest first where there is a `prior` (probabilities
    of a net that was trained across images), else in their order; equal ones too. The first `count`
    of them, if it is given."""
    _, first = np.unique(boxes.reshape(-1, 4), axis=0, return_index=True)
    order = np.sort(first)
    if prior is None:
        return order[:count]
    likely = np.nan_to_num(prior.reshape(-1)[order], nan=-np.inf)
    return order[np.argsort(-likely, kind="stable")][:count]


def nfe_each(bank: Bank) -> int:
    """UNet evaluations of one candidate; equal boxes were painted once."""
    return round(bank.nfe / len(np.unique(bank.boxes.reshape(-1, 4), axis=0)))


def replay_tables(
    banks: Sequence[Bank],
    *,
    costs: Sequence[int],
    rank: Merit = "S",
    weights: LossWeights = LossWeights(),
) -> ScoreRound:
    """Rounds that read the tables of what a live race would paint, one proposal set a round; a
    candidate of a round costs `costs[round]`.

    UserError where the sets have not the same boxes.
    """
    for bank in banks:
        if not np.array_equal(bank.boxes, banks[-1].boxes):
            raise UserError("the sets of a race need the same boxes: let them differ in `inpaint`")

    def look(level: int, candidates: Int[np.ndarray, " n"]) -> tuple[np.ndarray, int]:
        good = banks[level].merit(rank, weights).reshape(-1)
        return good[candidates], costs[level] * len(candidates)

    return look
