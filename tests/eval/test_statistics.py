"""Intervals, paired tests and corrections against SciPy, textbook values and simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from eval.power import resolution
from eval.statistics import (
    NO_COMPARISON,
    bootstrap_interval,
    estimate,
    holm,
    over_seeds,
    paired_difference,
)

INF, NAN = np.inf, np.nan


def draws(n: int, *, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, n)


def test_the_interval_is_scipys_and_depends_on_its_values_alone() -> None:
    values = draws(40)
    want = stats.bootstrap(
        (values,), np.mean, n_resamples=999, random_state=np.random.default_rng(0)
    ).confidence_interval
    got = [bootstrap_interval(values, resamples=999) for _ in range(2)]
    assert got == [(want.low, want.high)] * 2


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(80):
        interval = bootstrap_interval(draws(60, seed=seed, shift=3.0), resamples=199)
        assert interval
        hits += interval[0] <= 3.0 <= interval[1]
    assert 70 <= hits < 80  # 95% of 80, about three deviations either way


def test_values_without_spread_have_an_interval_without_width() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bootstrap_interval(np.full(9, 0.5)) == (0.5, 0.5)
        almost = np.array([0.1 + 0.2, 0.3] * 4)  # differ in the last bit
        assert bootstrap_interval(almost) == pytest.approx((0.3, 0.3))
        assert bootstrap_interval(np.array([0.3])) is None


def test_missing_and_infinite_values_are_counted_and_left_out() -> None:
    got = estimate(np.array([1.0, NAN, 3.0, INF, 2.0, NAN]), resamples=99)
    assert (got.mean, got.n, got.missing, got.infinite) == (2.0, 3, 2, 1)
    nothing = estimate(np.array([NAN, INF]))
    assert (nothing.mean, nothing.low, nothing.high, nothing.n) == (None, None, None, 0)


def test_seeds_are_averaged_within_a_task_first() -> None:
    values = np.array([[1.0, 3.0], [NAN, 5.0], [NAN, NAN], [INF, INF], [INF, 7.0], [INF, NAN]])
    np.testing.assert_array_equal(over_seeds(values), [2.0, 5.0, NAN, INF, 7.0, INF])


def test_more_seeds_of_the_same_tasks_do_not_narrow_the_interval() -> None:
    tasks = draws(30)
    one, twenty = over_seeds(tasks[:, None]), over_seeds(np.repeat(tasks[:, None], 20, axis=1))
    assert bootstrap_interval(one) == pytest.approx(bootstrap_interval(twenty))


def test_a_pair_is_compared_task_by_task() -> None:
    common = 5 * draws(60, seed=1)  # what tasks share is far larger than what methods differ by
    ours, theirs = common + 0.3 + 0.1 * draws(60, seed=2), common
    got = paired_difference(ours, theirs, higher_is_better=True, resamples=999)
    assert got.difference == pytest.approx((ours - theirs).mean())
    assert got.low and got.high and 0.2 < got.low < got.high < 0.4
    assert got.p == stats.wilcoxon(ours, theirs).pvalue
    assert got.effect == pytest.approx((ours - theirs).mean() / (ours - theirs).std(ddof=1))
    assert got.n == 60


def test_a_win_is_the_better_value_and_a_tie_half_a_win() -> None:
    ours, theirs = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 4.0, 5.0])
    lower = paired_difference(ours, theirs, higher_is_better=False, resamples=99)
    higher = paired_difference(ours, theirs, higher_is_better=True, resamples=99)
    assert (lower.win_rate, higher.win_rate) == (0.875, 0.125)
    assert lower.sign_p == higher.sign_p == stats.binomtest(3, 3).pvalue


def test_pairs_that_either_side_lacks_are_left_out() -> None:
    ours, theirs = np.array([1.0, NAN, 3.0, INF, 5.0]), np.array([0.0, 1.0, NAN, 2.0, 3.0])
    got = paired_difference(ours, theirs, higher_is_better=True, resamples=99)
    assert (got.n, got.difference) == (2, 1.5)
    assert paired_difference(ours[1:2], theirs[1:2], higher_is_better=True) == NO_COMPARISON


def test_equal_rows_differ_by_nothing_and_have_nothing_to_test() -> None:
    same = draws(12)
    got = paired_difference(same, same.copy(), higher_is_better=True)
    assert (got.difference, got.low, got.high, got.p, got.sign_p) == (0.0, 0.0, 0.0, 1.0, 1.0)
    assert (got.win_rate, got.effect) == (0.5, None)


def test_holm_steps_down_and_keeps_the_order() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("resamples", [True, 0, -1, 1, 2, 98])
def test_too_few_resamples_are_refused(resamples: int) -> None:
    with pytest.raises(ValueError, match="give a whole number from 99"):
        bootstrap_interval(draws(9), resamples=resamples)


@pytest.mark.filterwarnings("ignore::scipy.stats.DegenerateDataWarning")
@pytest.mark.parametrize("scale", [1e200, 1e-120])
def test_an_interval_is_never_nan(scale: float) -> None:
    with pytest.raises(ValueError, match="scale them towards 1"):
        bootstrap_interval(scale * np.arange(9.0), resamples=99)


def test_masked_arrays_are_refused() -> None:
    masked, plain = np.ma.masked_array([1.0, 2, 3], [True, False, False]), np.ones(3)
    for call in (
        lambda: estimate(masked),
        lambda: bootstrap_interval(masked),
        lambda: over_seeds(masked[:, None]),
        lambda: paired_difference(masked, plain, higher_is_better=True),
        lambda: paired_difference(plain, masked, higher_is_better=True),
        lambda: resolution(plain, masked),
    ):
        with pytest.raises(ValueError, match="a masked array: fill it"):
            call()


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_values_of_lower_precision_are_counted_in_double(kind: type) -> None:
    values: np.ndarray = np.array([60000, 59968, 60032, 5], dtype=kind)
    wide = values.astype(float)
    assert estimate(values) == estimate(wide) and estimate(values).mean == 45001.25
    assert bootstrap_interval(values) == bootstrap_interval(wide)
    assert over_seeds(values[None]) == over_seeds(wide[None]) == [45001.25]
    other: np.ndarray = np.full(4, -60000, dtype=kind)
    found = paired_difference(values, other, higher_is_better=True)
    assert found == paired_difference(wide, other.astype(float), higher_is_better=True)
    assert resolution(values, other) == resolution(wide, other.astype(float))
