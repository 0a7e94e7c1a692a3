"""Choosing: sizes by rule, the anchor by rank, ties to the first, NaN never."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lr_edit.choose import best_of_bank, choose, pick_sizes
from lr_edit.errors import UserError
from lr_edit.types import Bank, Choice, LossWeights

NAN = float("nan")


def bank(loss: list[list[float]], score: list[list[float]] | None = None) -> Bank:
    """A bank whose loss (by its first part) and S are what is asked for."""
    first = np.array(loss, dtype=np.float64)
    ranked = -first if score is None else np.array(score, dtype=np.float64)
    points, sizes = first.shape
    none = np.zeros_like(first)
    return Bank(
        boxes=np.zeros((points, sizes, 4), dtype=np.int64),
        losses=np.stack([first, none, none], axis=-1),
        cosines=np.stack([ranked / 2, none], axis=-1),
        anchors=np.zeros((points, 2), dtype=np.int64),
        attention=np.zeros((4, 4)),
        features=np.zeros((3, 4, 4)),
        relevance=np.zeros((4, 4)),
        nfe=0,
    )


def test_the_net_s_most_probable_size_is_picked_and_ties_go_to_the_first() -> None:
    pi = np.array([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])
    assert pick_sizes("net", bank([[0, 0, 0]] * 2), probabilities=pi).tolist() == [1, 0]


def test_the_table_s_lowest_weighted_loss_is_picked() -> None:
    some = bank([[0.3, 0.1, 0.2], [0.5, 0.5, 0.6]])
    assert pick_sizes("table", some).tolist() == [1, 0]
    assert pick_sizes("table", some, weights=LossWeights(clip=0.0)).tolist() == [0, 0]


def test_random_sizes_follow_their_generator_and_reach_every_size() -> None:
    some = bank([[0.0] * 3] * 40)
    first, again = (pick_sizes("random", some, rng=np.random.default_rng(1)) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert set(first.tolist()) == {0, 1, 2}


def test_a_fixed_size_is_the_same_everywhere_and_must_exist() -> None:
    some = bank([[0.0] * 3] * 2)
    assert pick_sizes("fixed", some, size=2).tolist() == [2, 2]
    with pytest.raises(UserError, match="size 3 does not exist"):
        pick_sizes("fixed", some, size=3)


@pytest.mark.parametrize("rule", ["net", "random"])
def test_a_rule_without_what_it_needs_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="needs"):
        pick_sizes(rule, bank([[0.0]]))  # type: ignore[arg-type]


def test_the_anchor_is_chosen_among_the_picked_candidates_only() -> None:
    some = bank(loss=[[0.9, 0.1], [0.5, 0.8]], score=[[0.2, 0.9], [0.3, 0.1]])
    sizes = np.array([0, 0])
    assert choose(some, sizes) == Choice(point=1, size=0)
    assert choose(some, np.array([1, 1]), rank="loss") == Choice(point=0, size=1)


def test_score_is_twice_text_and_once_image() -> None:
    some = bank([[0.0, 0.0]])
    some.cosines[:] = [[[0.2, 0.9], [0.5, 0.4]]]  # S: 1.3 and 1.4
    assert best_of_bank(some) == Choice(point=0, size=1)


def test_ties_go_to_the_first_anchor() -> None:
    assert choose(bank([[1.0, 1.0]] * 3), np.array([1, 0, 0])) == Choice(point=0, size=1)
    assert best_of_bank(bank([[1.0, 1.0]] * 3), rank="loss") == Choice(point=0, size=0)


def test_a_score_that_is_missing_never_wins() -> None:
    some = bank(loss=[[NAN, 0.4], [0.3, NAN]])
    assert pick_sizes("table", some).tolist() == [1, 0]
    assert pick_sizes("net", some, probabilities=np.array([[NAN, 0.1]] * 2)).tolist() == [1, 1]
    assert choose(some, np.array([0, 0])) == Choice(point=1, size=0)
    assert choose(some, np.array([0, 0]), rank="loss") == Choice(point=1, size=0)
    assert best_of_bank(some) == best_of_bank(some, rank="loss") == Choice(point=1, size=0)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99), st.sampled_from(["S", "loss"]))
def test_nothing_ranks_above_the_best_of_the_bank(points, sizes, seed, rank) -> None:
    rng = np.random.default_rng(seed)
    some = bank(*rng.normal(size=(2, points, sizes)).tolist())
    picked = pick_sizes("random", some, rng=rng)
    merit = some.score if rank == "S" else -some.loss(LossWeights())
    chosen, best = choose(some, picked, rank=rank), best_of_bank(some, rank=rank)
    assert merit[chosen.point, chosen.size] <= merit[best.point, best.size] == merit.max()
    assert chosen.size == picked[chosen.point]


@given(st.integers(4, 9), st.integers(0, 999))
def test_the_release_ranks_softmaxes_and_only_the_three_best_by_text(points: int, seed) -> None:
    some = bank(np.zeros((points, 1)).tolist())
    some.cosines[:, 0] = cosines = np.random.default_rng(seed).uniform(-1, 1, (points, 2))
    share = np.exp(cosines) / np.exp(cosines).sum(0)
    order = sorted(range(points), key=lambda at: -(2 * share[at, 0] + share[at, 1]))
    allowed = sorted(range(points), key=lambda at: -share[at, 0])[:3]
    first = next(at for at in order if at in allowed)
    chosen = choose(some, np.zeros(points, dtype=np.int64), rank="released")
    assert chosen == best_of_bank(some, rank="released") == Choice(point=first, size=0)


def test_a_shortlist_drops_what_text_alone_would_not_take() -> None:
    some = bank([[0.0]] * 5)
    some.cosines[:, 0] = [[0.30, 0.50], [0.29, 0.50], [0.28, 0.52], [0.27, 0.50], [0.26, 0.90]]
    sizes = np.zeros(5, dtype=np.int64)
    assert choose(some, sizes) == Choice(point=4, size=0)
    assert choose(some, sizes, rank="released").point < 3
    some.cosines[2, 0, 0] = NAN
    assert choose(some, sizes, rank="released").point in (0, 1)


def test_merit_is_s_or_the_loss_below_zero() -> None:
    some = bank([[0.3, 0.1]], score=[[0.5, 0.2]])
    assert some.merit().tolist() == [[0.5, 0.2]]
    assert some.merit("loss").tolist() == [[-0.3, -0.1]]
    assert some.merit("loss", LossWeights(clip=2.0)).tolist() == [[-0.6, -0.2]]
