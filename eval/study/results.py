"""All variants' scores -> reports/results.json: for programs, and for the tables and figures.

variants    name -> metric -> {mean, low, high, n, missing}, over the headline tasks
paired      baseline -> name -> metric -> {difference, low, high, p}
ceilings    as variants, for choices made with the whole table
tests       as paired: win rate, sign test, effect size, Holm over the whole family, tasks paired
categories  category -> name -> metric -> as variants; remove and add stand here alone
psnr        name -> {infinite, of_mean_mse}
resolution  variant -> success and IoU against the baseline: {spread, detectable, n, needed}
ablations   group -> row -> metric -> as variants, with the paired difference to the first row
method      the variant that stands for it: its name, causes of failure, preferences
agreement   draw of labelled edits -> how often the judge says what labels by eye say
failed      variant, or group/row -> candidates of its proposal set that were no pictures
learning    variant -> start, end, floor, share of the gap closed, share of tasks that fell
strata      metric -> row of `baselines` -> what a scene holds -> mean, and the paired difference
changes     variant -> where its edits changed the picture: hit, miss, leak
meta        what was measured, by which judges, and what the reader must know
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from eval.metrics.registry import APART, BY_KEY, PROTOCOL, SUCCESS, is_headline, write_caption
from eval.power import resolution, tasks_needed
from eval.statistics import LEVEL, NO_COMPARISON, Comparison, holm, paired_difference
from eval.study.scores import Scores
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.profiles import Judges, Profile, Weights

PAIRED = ("difference", "low", "high", "p")
TESTS = ("win_rate", "sign_p", "effect", "n")


def build_results(
    config: Config,
    scores: Sequence[Scores],
    *,
    summaries: dict[str, dict[str, Any]],
    ceilings: dict[str, dict[str, Any]],
    learning: dict[str, dict[str, Any]],
    ablations: dict[str, dict[str, Any]],
    method: dict[str, Any],
    nfe: int,
    failed: dict[str, int],
    agreement: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """`summaries` and `ceilings` are what `evaluate.summarise` says of each row; `failed` counts
    the candidates of each proposal set that were no pictures."""
    comparisons = compare(scores, config)
    adjusted = _adjusted(comparisons)
    rows = {**summaries, **ceilings}
    categories = sorted({name for row in rows.values() for name in row["categories"]})
    baseline = config.study.baseline
    return {
        "variants": {name: row["metrics"] for name, row in summaries.items()},
        "ceilings": {name: row["metrics"] for name, row in ceilings.items()},
        "paired": {
            baseline: {
                name: {key: _pick(one, PAIRED) for key, one in row.items()}
                for name, row in comparisons.items()
            }
        },
        "tests": {
            baseline: {
                name: {
                    key: {**_pick(one, TESTS), "holm_p": adjusted.get((name, key))}
                    for key, one in row.items()
                }
                for name, row in comparisons.items()
            }
        },
        "categories": {
            category: {name: row["categories"][category] for name, row in rows.items()}
            for category in categories
        },
        "psnr": {name: row["psnr"] for name, row in rows.items()},
        "agreement": agreement,
        "failed": {name: failed[how] for name, how in _proposals_of(config).items()},
        "resolution": resolutions(scores, config),
        "learning": learning,
        "ablations": ablations,
        "method": method,
        "meta": {**_meta(config, scores[0], summaries), "nfe": nfe},
    }


def _proposals_of(config: Config) -> dict[str, str]:
    """The proposal set of every row of the tables."""
    groups = config.ablations.items()
    rows = {f"{group}/{name}": row for group, each in groups for name, row in each.items()}
    return {name: row.proposals for name, row in (*config.variants.items(), *rows.items())}


def compare(scores: Sequence[Scores], config: Config) -> dict[str, dict[str, Comparison]]:
    """Every variant against the baseline on the headline tasks: name -> metric -> comparison."""
    study = config.study
    baseline = next(row for row in scores if row.variant == study.baseline)
    keep = baseline.where()
    table: dict[str, dict[str, Comparison]] = {}
    for row in scores:
        if row.tasks != baseline.tasks:
            raise UserError(
                f"{row.variant} and {baseline.variant} were scored on different tasks: "
                "run the stage evaluate for both (dvc repro)"
            )
        if row is not baseline:
            table[row.variant] = {
                key: _compare_one(row, baseline, key, keep, study.resamples, study.seed)
                for key in BY_KEY
            }
    return table


# Differences worth seeing, in the metric's own unit: ten points of success, five of IoU.
WORTH = {"success": 0.10, "iou": 0.05}


def resolutions(scores: Sequence[Scores], config: Config) -> dict[str, dict[str, Any]]:
    """What this many tasks can resolve, and how many would resolve what is worth seeing."""
    baseline = next(row for row in scores if row.variant == config.study.baseline)
    keep = baseline.where()
    table: dict[str, dict[str, Any]] = {}
    for row in scores:
        for key, worth in WORTH.items() if row is not baseline else ():
            one = resolution(row.per_task(key)[keep], baseline.per_task(key)[keep])
            if one and one.spread > 0:
                needed = tasks_needed(worth / one.spread)
                table.setdefault(row.variant, {})[key] = {**asdict(one), "needed": needed}
    return table


def _compare_one(
    row: Scores, baseline: Scores, key: str, keep: Any, resamples: int, seed: int
) -> Comparison:
    measure = BY_KEY[key]
    if measure.paired == "none":
        return NO_COMPARISON
    one = paired_difference(
        row.per_task(key)[keep],
        baseline.per_task(key)[keep],
        higher_is_better=bool(measure.higher_is_better),
        resamples=resamples,
        seed=seed,
    )
    return one if measure.paired == "test" else replace(one, p=None, sign_p=None)


def _adjusted(comparisons: dict[str, dict[str, Comparison]]) -> dict[tuple[str, str], float]:
    """Holm over every test of the table."""
    family = {
        (name, key): one.p
        for name, row in comparisons.items()
        for key, one in row.items()
        if one.p is not None
    }
    return dict(zip(family, holm(list(family.values())), strict=True))


def _pick(one: Comparison, keys: Sequence[str]) -> dict[str, Any]:
    values = asdict(one)
    return {key: values[key] for key in keys}


def _meta(config: Config, scores: Scores, summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    world = config.models.world
    return {
        "profile": config.profile,
        "split": config.study.split,
        "protocol": PROTOCOL,
        "baseline": config.study.baseline,
        "resamples": config.study.resamples,
        "level": LEVEL,
        "tasks": {
            "all": len(scores.tasks),
            "headline": int(scores.where().sum()),
            **{name: scores.categories.count(name) for name in sorted(set(scores.categories))},
        },
        "headline": [c for c in sorted(set(scores.categories)) if is_headline(c)],
        "apart": [c for c in APART if c in scores.categories],
        "seeds": {name: row["seeds"] for name, row in summaries.items()},
        "judges": _judges(config.models.judges),
        "shared_with_method": _shared(config.models),
        "success": SUCCESS,
        "caption": write_caption(world=world, profile=config.profile),
        "holm": "over every variant and tested metric of the table; costs and PSNR are not tested",
    }


def _shared(models: Profile) -> list[str]:
    """Judges whose weights the method uses too; the judge CLIP must never be among them."""
    method = (models.anchors, models.clip, models.inpainter)
    return [role for role, name in models.judges if name in method]


def _judges(judges: Judges) -> dict[str, str | None]:
    def name(weights: Weights | None) -> str | None:
        if weights is None:
            return None
        return f"{weights.name} ({weights.pretrained})" if weights.pretrained else weights.name

    return {role: name(getattr(judges, role)) for role in type(judges).model_fields}
