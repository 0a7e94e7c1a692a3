"""Statistical power: how many tasks find an effect, and what so many can see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from eval.statistics import LEVEL, check_tasks

POWER = 0.8


@dataclass(frozen=True)
class Resolution:
    """What a paired comparison of n tasks can see.

    spread      standard deviation of the tasks' differences
    detectable  the smallest mean difference found in `POWER` of such studies
    """

    spread: float
    detectable: float
    n: int


def resolution(
    ours: Float[np.ndarray, " tasks"], baseline: Float[np.ndarray, " tasks"]
) -> Resolution | None:
    """What this many tasks can see, from the spread over those that both have.

    Args:
        ours: One value per task; NaN is missing.
        baseline: The same of what is compared with.

    Returns:
        None for fewer than two tasks.

    Example:
        >>> one = resolution(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0]))
        >>> one.n, round(one.spread, 3)
        (3, 1.528)
    """
    ours, baseline = check_tasks(ours, baseline)
    both = np.isfinite(ours) & np.isfinite(baseline)
    n = int(both.sum())
    if n < 2:
        return None
    spread = float((ours - baseline)[both].std(ddof=1))
    return Resolution(spread, spread * detectable_effect(n), n)


def detectable_effect(n: int, *, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest mean over standard deviation that a two-sided paired t-test of `n` tasks finds.

    Args:
        n: Tasks, at least two.
        power: Share of such studies that find it.
        level: One minus the test's error of the first kind.

    Source: Cohen 1988, by the noncentral t distribution.

    Example:
        >>> round(detectable_effect(96), 3)
        0.289
    """
    _check_shares(power=power, level=level)
    if n < 2:
        raise ValueError(f"{n} tasks: two at least have a spread")
    beyond = stats.t.ppf((1 + level) / 2, n - 1)

    def short_of(shift: float) -> float:  # the other tail adds nothing where power is asked for
        return float(power - stats.nct.sf(beyond, n - 1, shift))

    highest = beyond + 3.0
    while short_of(highest) > 0:
        highest *= 1.5
    return float(optimize.brentq(short_of, 0.0, highest)) / math.sqrt(n)


def tasks_needed(effect: float, *, power: float = POWER, level: float = LEVEL) -> int:
    """How many tasks find a mean over standard deviation of `effect`: `detectable_effect` reversed.

    Example:
        >>> tasks_needed(0.289)
        96
    """
    _check_shares(power=power, level=level)
    if not 0 < effect < math.inf:
        raise ValueError(f"effect {effect!r}: give a number above 0")

    def too_few(n: int) -> bool:
        beyond = stats.t.ppf((1 + level) / 2, n - 1)
        return bool(stats.nct.sf(beyond, n - 1, effect * math.sqrt(n)) < power)

    low = high = 2
    while too_few(high):
        low, high = high, 2 * high
    while high - low > 1:  # too_few(low), or low is the least there is
        middle = (low + high) // 2
        low, high = (middle, high) if too_few(middle) else (low, middle)
    return high


def _check_shares(**shares: float) -> None:
    """ValueError for what is no share."""
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f"{name} {share!r}: give a share between 0 and 1")
