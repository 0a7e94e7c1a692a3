"""Statistical power: what n tasks can see, against simulation and the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eval.power import detectable_effect, resolution, tasks_needed


@pytest.mark.parametrize(("n", "effect"), [(34, 0.5), (199, 0.2), (15, 0.8)])
def test_textbook_sample_sizes(n: int, effect: float) -> None:
    """Cohen's paired designs at 80% power, two-sided 5%."""
    assert tasks_needed(effect) == n
    assert detectable_effect(n) <= effect < detectable_effect(n - 1)


def test_the_detectable_difference_is_found_in_four_studies_of_five() -> None:
    rng, n = np.random.default_rng(0), 40
    effect = detectable_effect(n)
    draws = rng.normal(effect, 1.0, size=(4000, n))
    found = stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_resolution_pairs_tasks_and_leaves_missing_ones_out() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=50)
    ours = base + rng.normal(scale=0.1, size=50)
    ours[0] = np.nan
    found = resolution(ours, base)
    assert found is not None
    assert found.n == 49
    assert found.spread == pytest.approx(np.std((ours - base)[1:], ddof=1))
    assert found.detectable == pytest.approx(found.spread * detectable_effect(49))


def test_one_task_resolves_nothing() -> None:
    assert resolution(np.array([1.0]), np.array([0.0])) is None
