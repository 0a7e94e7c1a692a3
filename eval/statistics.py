"""Means with intervals and paired comparisons: arrays with one row per task in, numbers out.

Images are resampled, not rows: several seeds of a task are averaged before anything else. NaN is a
missing value; inf (the PSNR of a perfect background) is counted and left out of the mean. NumPy and
SciPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

RESAMPLES = 9999
FEWEST = 99  # resamples: of fewer, hardly two lie beyond either end
LEVEL = 0.95
ROUNDING = 1e-12  # a spread that is this share of the values is none


@dataclass(frozen=True)
class Estimate:
    """A mean over tasks, its 95% interval, and how many tasks gave a finite value, none, or inf."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    missing: int
    infinite: int


@dataclass(frozen=True)
class Comparison:
    """Ours minus the baseline's, over the tasks that both have.

    `p` is Wilcoxon's signed-rank test, two-sided. `win_rate` counts a tie as half a win; `sign_p`
    leaves ties out. `effect` is the mean difference over its standard deviation.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    win_rate: float | None
    sign_p: float | None
    effect: float | None
    n: int


NO_COMPARISON = Comparison(None, None, None, None, None, None, None, 0)


def over_seeds(values: Float[np.ndarray, "tasks seeds"]) -> Float[np.ndarray, " tasks"]:
    """Mean over each task's finite seeds; inf where all that are there are inf, else NaN.

    Example:
        >>> over_seeds(np.array([[1.0, 3.0], [np.nan, 2.0], [np.nan, np.inf]]))
        array([ 2.,  2., inf])
    """
    values = _as_floats(values)
    finite = np.isfinite(values)
    count = finite.sum(1)
    mean = np.where(finite, values, 0.0).sum(1) / np.maximum(count, 1)
    rest = np.where(np.isinf(values).any(1), np.inf, np.nan)
    return np.where(count > 0, mean, rest)


def bootstrap_interval(
    values: Float[np.ndarray, " n"], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """95% interval of the mean, bias-corrected and accelerated.

    The generator is made here from `seed`, so that an interval depends on its values alone.

    Args:
        values: One finite value per task.
        resamples: Of the bootstrap, 99 at least.
        seed: Of the resamples.

    Returns:
        (low, high); the mean twice where all values are one; None for fewer than two values.

    Raises:
        ValueError: Another shape, a value that is not finite, too few resamples, or values so large
            or so small that their spread cannot be computed.

    Source: BCa, Efron 1987, by SciPy.

    Example:
        >>> low, high = bootstrap_interval(np.arange(20.0))
        >>> low < 9.5 < high
        True
    """
    (values,) = check_tasks(values)
    if not np.isfinite(values).all():
        raise ValueError("give one finite value per task")
    whole = isinstance(resamples, int | np.integer) and not isinstance(resamples, bool)
    if not whole or resamples < FEWEST:
        raise ValueError(f"resamples {resamples!r}: give a whole number from {FEWEST}")
    if len(values) < 2:
        return None
    if np.ptp(values) <= ROUNDING * np.abs(values).max():  # BCa divides by the spread
        return float(values.mean()), float(values.mean())
    with np.errstate(all="ignore"):  # what comes of it is looked at
        interval = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=resamples,
            vectorized=True,
            confidence_level=LEVEL,
            method="BCa",
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    if not np.isfinite(interval).all():
        raise ValueError(f"values from {values.min()} to {values.max()}: scale them towards 1")
    return float(interval.low), float(interval.high)


def estimate(
    values: Float[np.ndarray, " tasks"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """One value per task -> mean, interval and counts.

    Args:
        values: NaN is missing; inf is counted and left out of the mean.
        resamples: Of the bootstrap.
        seed: Of the resamples.

    Example:
        >>> one = estimate(np.array([1.0, 2.0, 3.0, np.nan]))
        >>> one.mean, one.n, one.missing
        (2.0, 3, 1)
    """
    (values,) = check_tasks(values)
    finite = values[np.isfinite(values)]
    interval = bootstrap_interval(finite, resamples=resamples, seed=seed)
    return Estimate(
        mean=float(finite.mean()) if len(finite) else None,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        n=len(finite),
        missing=int(np.isnan(values).sum()),
        infinite=int(np.isinf(values).sum()),
    )


def paired_difference(
    ours: Float[np.ndarray, " tasks"],
    baseline: Float[np.ndarray, " tasks"],
    *,
    higher_is_better: bool,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare task by task; tasks that either side lacks are left out.

    Args:
        ours: One value per task; NaN is missing.
        baseline: The same of what is compared with, in the same order.
        higher_is_better: Which way a task is won.
        resamples: Of the bootstrap.
        seed: Of the resamples.

    Returns:
        Ours minus the baseline's, its interval and tests; `NO_COMPARISON` where no task has both.

    Source: Wilcoxon 1945, by SciPy; the sign test for who cares for wins alone.

    Example:
        >>> ours, baseline = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 2.0, 1.0, 3.0])
        >>> one = paired_difference(ours, baseline, higher_is_better=True)
        >>> one.difference, one.win_rate, one.n
        (1.0, 0.875, 4)
    """
    ours, baseline = check_tasks(ours, baseline)
    both = np.isfinite(ours) & np.isfinite(baseline)
    difference = ours[both] - baseline[both]
    if not len(difference):
        return NO_COMPARISON
    interval = bootstrap_interval(difference, resamples=resamples, seed=seed)
    better = difference if higher_is_better else -difference
    wins, losses = int((better > 0).sum()), int((better < 0).sum())
    ties = len(better) - wins - losses
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return Comparison(
        difference=float(difference.mean()),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=_wilcoxon(difference),
        win_rate=(wins + ties / 2) / len(better),
        sign_p=float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        effect=float(difference.mean()) / spread if spread > 0 else None,
        n=len(difference),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment over a family, in the given order.

    Source: Holm 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = _as_floats(p_values)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"{[*p_values]} are no p values: they lie in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def check_tasks(*rows: Float[np.ndarray, "..."]) -> list[Float[np.ndarray, " tasks"]]:
    """Values in double precision: one per task, and all as many.

    Raises:
        ValueError: Another shape, or a masked array, whose mask would be lost.

    Example:
        >>> check_tasks(np.array([1.0, 2.0]), np.array([3.0, np.nan]))
        [array([1., 2.]), array([ 3., nan])]
    """
    found = [_as_floats(row) for row in rows]
    if any(row.ndim != 1 or len(row) != len(found[0]) for row in found):
        raise ValueError(f"values of shapes {[row.shape for row in found]}: give one per task")
    return found


def _as_floats(values: Any) -> Float[np.ndarray, "..."]:
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError("a masked array: fill it, with NaN for what is missing")
    return np.asarray(values, float)


def _wilcoxon(difference: Float[np.ndarray, " n"]) -> float:
    """1 where no task differs: there is nothing to test."""
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference).pvalue)
