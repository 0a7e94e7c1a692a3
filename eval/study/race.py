"""The race measured: how previews rank against finals, and what every strategy keeps for its cost.

Enter a study's tables of the full set and of previews of the same boxes, and what the rows of its
ablation group `race` chose. S alone counts, by the scoring CLIP: no judge takes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from eval.metrics.registry import is_headline
from eval.statistics import LEVEL, estimate
from eval.study.ablations import read_chosen
from eval.study.evaluate import count_candidates
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.types import Bank
from lr_edit.variant import Ablation
from lr_edit.workspace.storage import read_banks, study_tasks

GROUP, FULL, RELEASED = "race", "enumerate", "released"
OTHERS = "others"  # kinds of strategies that are no series


@dataclass(frozen=True)
class Interval:
    """A number of a set or a strategy, its 95% interval over tasks, and the UNet evaluations that
    it costs: a candidate for a set of previews, a task for a strategy. Points of a kind are joined
    in the figure."""

    kind: str
    name: str
    nfe: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Above:
    """Paired differences of S to the release's: their mean, the lower end of its one-sided 95%
    interval, and Wilcoxon's p for `higher`."""

    name: str
    difference: float
    low: float
    p: float


@dataclass(frozen=True)
class Measured:
    """Sets of previews, strategies, these against the release, the races among them; the tasks."""

    previews: list[Interval]
    kept: list[Interval]
    against: list[Above]
    races: frozenset[str]
    tasks: int


def rank_correlation(preview: Bank, full: Bank) -> float:
    """Spearman's, between the scores S of one task's distinct boxes; NaN where one is constant."""
    _, first = np.unique(full.boxes.reshape(-1, 4), axis=0, return_index=True)
    pair = preview.score.reshape(-1)[first], full.score.reshape(-1)[first]
    if min(np.ptp(one) for one in pair) == 0:
        return float("nan")
    return float(stats.spearmanr(*pair).statistic)


def retention(
    score: Float[np.ndarray, " tasks"],
    *,
    random: Float[np.ndarray, " tasks"],
    best: Float[np.ndarray, " tasks"],
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """(S - S_random) / (S_best - S_random), means over tasks in both parts, and its interval: tasks
    are drawn again, with all three of their scores."""

    def kept(gain: np.ndarray, most: np.ndarray, axis: int = -1) -> Any:
        return gain.mean(axis) / most.mean(axis)

    parts = score - random, best - random
    value = float(kept(*parts))
    if np.array_equal(*parts):
        return value, value, value
    interval = stats.bootstrap(
        parts, kept, paired=True, vectorized=True, n_resamples=resamples, confidence_level=LEVEL,
        method="percentile", random_state=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return value, float(interval.low), float(interval.high)


def above(
    name: str,
    score: Float[np.ndarray, " tasks"],
    *,
    released: Float[np.ndarray, " tasks"],
    resamples: int,
    seed: int,
) -> Above:
    """Is a strategy's S above the release's?"""
    gain = score - released
    low = stats.bootstrap(
        (gain,), np.mean, n_resamples=resamples, confidence_level=LEVEL, alternative="greater",
        random_state=np.random.default_rng(seed),
    ).confidence_interval.low  # fmt: skip
    p = stats.wilcoxon(gain, alternative="greater").pvalue if gain.any() else 1.0
    return Above(name, float(gain.mean()), float(low), float(p))


def measure_race(root: Path, config: Config) -> Measured:
    """Read a study's tables and choices; headline tasks alone.

    Raises UserError for a study without the rows of the group `race`.
    """
    rows = config.ablations.get(GROUP, {})
    if FULL not in rows:
        raise UserError(
            f"the study has no row {FULL!r} in ablations.{GROUP}: see studies/race.yaml"
        )
    tasks = [task for task in study_tasks(root) if is_headline(task.category)]
    places = [at for at, task in enumerate(study_tasks(root)) if is_headline(task.category)]
    options = {"resamples": config.study.resamples, "seed": config.study.seed}
    sets = {name: read_banks(root, name, tasks=tasks) for name in config.proposals}
    full = sets[rows[FULL].proposals]
    previews = [
        _correlate(_preview_kind(config, name), name, banks, full, **options)
        for name, banks in sets.items()
        if banks is not full and np.array_equal(banks[0].boxes, full[0].boxes)
    ]
    chosen = read_chosen(root, config)[GROUP]
    found = {
        name: _chosen(row, sets[row.proposals], chosen[name], places) for name, row in rows.items()
    }
    random = np.array([bank.score.mean() for bank in full])
    best = found[FULL][0]
    kept = [
        Interval(
            _kind(rows[name]), name, cost, *retention(score, random=random, best=best, **options)
        )
        for name, (score, cost) in found.items()
    ]
    against = [
        above(name, score, released=found[RELEASED][0], **options)
        for name, (score, _) in found.items()
        if RELEASED in found and name != RELEASED
    ]
    races = frozenset(name for name, row in rows.items() if row.previews)
    return Measured(previews, kept, against, races, len(tasks))


def _kind(row: Ablation) -> str:
    if row.previews:
        who = f"top {row.entrants}" if row.entrants else "every box"
        return f"race, {who}: {' → '.join((*row.previews, row.proposals))}"
    return "random-k: best S of k" if row.choose == "sample" else OTHERS


def _preview_kind(config: Config, name: str) -> str:
    how = config.proposal_set(name).inpaint
    if how.sampler.guided_steps:
        return "guided"
    return "early estimate (x0)" if how.stop else "unguided"


def _correlate(
    kind: str, name: str, banks: Sequence[Bank], full: Sequence[Bank], *, resamples: int, seed: int
) -> Interval:
    each = [rank_correlation(*pair) for pair in zip(banks, full, strict=True)]
    mean = estimate(np.array(each), resamples=resamples, seed=seed)
    distinct = sum(len(np.unique(bank.boxes.reshape(-1, 4), axis=0)) for bank in banks)
    cost = sum(bank.nfe for bank in banks) / distinct
    return Interval(
        kind, name, cost, *(np.nan if x is None else x for x in (mean.mean, mean.low, mean.high))
    )


def _chosen(
    row: Ablation, banks: Sequence[Bank], chosen: dict[str, Any], places: Sequence[int]
) -> tuple[Float[np.ndarray, " tasks"], float]:
    """S of what a row chose, a task, averaged over its seeds; the evaluations of a task."""
    scores, nfe = [], []
    for place, bank in zip(places, banks, strict=True):
        pairs = chosen["choices"][place]
        scores.append(np.mean([bank.score[point, size] for point, size in pairs]))
        if chosen.get("nfe"):
            nfe.append(float(chosen["nfe"][place]))
        else:
            known = chosen.get("candidates_used")  # what nets read or chose
            candidates_used = known[place] if known else count_candidates(row, bank, trained=None)
            nfe.append(bank.nfe * candidates_used / bank.score.size)
    return np.array(scores), float(np.mean(nfe))
