"""The race decides by previews and is won at full quality; no pictures are needed to see that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lr_edit.errors import UserError
from lr_edit.successive_halving import nfe_each, pick_entrants, plan_rounds, replay_tables, run_race
from lr_edit.types import Bank, Merit

POINTS, SIZES = 3, 4
merits = st.one_of(st.just(np.nan), st.floats(-3, 3, width=32))
tables = arrays(np.float64, (POINTS, SIZES), elements=merits)


def bank(score: np.ndarray, *, each: int = 1, boxes: np.ndarray | None = None) -> Bank:
    """Candidates with these scores, each at its own box unless boxes are given."""
    if boxes is None:
        left = np.arange(score.size).reshape(score.shape)
        boxes = np.stack([left, left, left + 5, left + 5], -1)
    distinct = len(np.unique(boxes.reshape(-1, 4), axis=0))
    half, none = np.stack([score / 2, np.zeros_like(score)], -1), np.zeros((2, 2))
    return Bank(
        boxes, np.zeros((*score.shape, 3)), half, none, none, none[None], none, each * distinct
    )


def run(*scores: np.ndarray, plan: tuple[int, ...], costs: tuple[int, ...] = (1, 2, 10)):
    banks = [bank(score) for score in scores]
    return run_race(replay_tables(banks, costs=costs), pick_entrants(banks[-1].boxes), plan=plan)


@given(tables, tables, st.integers(1, POINTS * SIZES))
def test_the_winner_is_the_best_finalist_at_full_quality(
    preview: np.ndarray, full: np.ndarray, finalists: int
) -> None:
    done = run(preview, full, plan=(POINTS * SIZES, finalists))
    seen = np.where(np.isnan(preview), -np.inf, preview).reshape(-1)
    last = set(np.argsort(-seen, kind="stable")[:finalists].tolist())
    assert done.winner in last
    best = np.nanmax([full.flat[i] for i in last] + [-np.inf])
    assert done.merit == best or (np.isinf(best) and np.isnan(done.merit))
    assert done.nfe == POINTS * SIZES * 1 + finalists * 2


@given(tables)
def test_with_every_box_in_the_last_round_the_race_finds_the_best_of_all(full: np.ndarray) -> None:
    done = run(np.zeros_like(full), full, plan=(POINTS * SIZES, POINTS * SIZES))
    assert full.flat[done.winner] == np.nanmax(np.append(full, -np.inf)) or np.isnan(full).all()


@given(tables, tables, tables)
def test_each_round_keeps_the_best_of_the_last(
    first: np.ndarray, second: np.ndarray, full: np.ndarray
) -> None:
    asked: list[np.ndarray] = []
    tell = replay_tables([bank(one) for one in (first, second, full)], costs=(1, 2, 10))

    def look(level: int, candidates: np.ndarray):
        asked.append(candidates)
        return tell(level, candidates)

    done = run_race(look, np.arange(POINTS * SIZES), plan=(12, 6, 2))
    for table, kept, entered in zip((first, second), asked[1:], asked, strict=False):
        filled = np.where(np.isnan(table), -np.inf, table).reshape(-1)
        dropped = sorted(set(entered.tolist()) - set(kept.tolist()))
        assert min(filled[kept]) >= max(filled[dropped])
    assert done.entered == (12, 6, 2) and done.nfe == 12 + 2 * 6 + 10 * 2


def test_a_missing_score_never_wins_where_another_has_one() -> None:
    preview = np.array([[np.nan, 0.1, 0.2, np.nan]])
    full = np.array([[9.0, -1.0, np.nan, 9.0]])
    assert run(preview, full, plan=(4, 2)).winner == 1


def test_ties_go_to_the_first() -> None:
    assert run(np.zeros((2, 2)), np.zeros((2, 2)), plan=(4, 4)).winner == 0


def test_a_race_by_loss_is_won_by_the_lowest() -> None:
    losses = np.zeros((1, 3, 3))
    losses[0, :, 0] = [0.3, 0.1, 0.2]
    full = replace(bank(np.array([[3.0, 1.0, 2.0]])), losses=losses)
    ranks: tuple[tuple[Merit, int], ...] = (("S", 0), ("loss", 1))
    for rank, winner in ranks:
        look = replay_tables([full, full], costs=(1, 10), rank=rank)
        done = run_race(look, pick_entrants(full.boxes), plan=(3, 2))
        assert done.winner == winner
    assert done.merit == -0.1


def test_equal_boxes_start_once_and_cost_once() -> None:
    boxes = np.array([[[0, 0, 8, 8], [0, 0, 16, 16]], [[0, 0, 8, 8], [8, 8, 16, 16]]])
    assert pick_entrants(boxes).tolist() == [0, 1, 3]
    assert nfe_each(bank(np.zeros((2, 2)), each=7, boxes=boxes)) == 7


def test_a_prior_lets_the_most_probable_start_first_and_keeps_the_order_of_ties() -> None:
    boxes = bank(np.zeros((2, 2))).boxes
    prior = np.array([[0.2, 0.3], [0.3, np.nan]])
    assert pick_entrants(boxes, prior=prior).tolist() == [1, 2, 0, 3]
    assert pick_entrants(boxes, prior=prior, count=2).tolist() == [1, 2]
    assert pick_entrants(boxes, count=2).tolist() == [0, 1]
    full = np.array([[9.0, 1.0], [2.0, 9.0]])
    done = run_race(
        replay_tables([bank(full)], costs=(10,)), pick_entrants(boxes, prior=prior), plan=(2,)
    )
    assert (done.winner, done.entered, done.nfe) == (2, (2,), 20)


def test_sets_with_other_boxes_cannot_race() -> None:
    full = bank(np.zeros((2, 2)))
    other = bank(np.zeros((2, 2)), boxes=full.boxes + 1)
    with pytest.raises(UserError, match="the same boxes"):
        replay_tables([other, full], costs=(1, 10))


costs = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@given(st.integers(1, 3000), costs, st.integers(1, 60))
def test_a_plan_never_costs_more_than_its_budget(
    budget: int, costs: list[int], candidates: int
) -> None:
    try:
        plan = plan_rounds(budget, costs, candidates=candidates)
    except UserError:
        assert budget < sum(costs)
        return
    assert len(plan) == len(costs) and min(plan) >= 1 and max(plan) <= candidates
    assert sum(n * cost for n, cost in zip(plan, costs, strict=True)) <= budget
    assert list(plan) == sorted(plan, reverse=True)
    unspent = budget - sum(costs[1:]) - plan[0] * costs[0]
    assert plan[0] == candidates or unspent < costs[0]


rising = costs.map(sorted)  # a later round that costs less than an earlier one is no race


@given(st.integers(1, 3000), st.integers(1, 3000), rising)
def test_more_budget_never_means_fewer_finalists(less: int, more: int, costs: list[int]) -> None:
    found = []
    for budget in sorted((less, more)):
        try:
            found.append(plan_rounds(budget, costs, candidates=20)[-1])
        except UserError:
            found.append(0)
    assert found[0] <= found[1]


def test_the_rule_of_a_plan() -> None:
    assert plan_rounds(400, [2, 32], candidates=54) == (54, 9)
    assert plan_rounds(400, [1, 4, 32], candidates=54) == (54, 46, 5)
    assert plan_rounds(200, [1, 10, 32], candidates=54) == (54, 8, 2)
    assert plan_rounds(96, [32], candidates=54) == (3,)
    assert plan_rounds(9999, [2, 32], candidates=54) == (54, 54)
    assert plan_rounds(149, [2, 10, 32], candidates=54) == (53, 1, 1)
    with pytest.raises(UserError, match=r"a budget of 43 .* takes 44 at least"):
        plan_rounds(43, [2, 10, 32], candidates=54)


@given(st.integers(1, 3000), rising, st.integers(1, 60))
def test_a_plan_leaves_less_than_one_more_of_its_cheapest_later_box(
    budget: int, costs: list[int], candidates: int
) -> None:
    try:
        plan = plan_rounds(budget, costs, candidates=candidates)
    except UserError:
        return
    nfe = sum(n * cost for n, cost in zip(plan, costs, strict=True))
    cheapest = costs[1] if len(costs) > 1 else costs[0]
    assert plan[len(plan) > 1] == plan[0] or budget - nfe < cheapest
