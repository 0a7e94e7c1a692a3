"""A folder's per-image rows -> means with intervals, counts and comparisons, for programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from eval.external.datasets import Dataset
from eval.external.folder import Request
from eval.external.identity import name_difference
from eval.external.journal import Journal, Key, Row
from eval.metrics.suite import JUDGED, describe_metric, find_measure
from eval.report.versions import versions
from eval.statistics import RESAMPLES, estimate, holm, over_seeds, paired_difference
from lr_edit.errors import UserError, suggest_name


def summarise(
    request: Request, journal: Journal, *, data: Mapping[str, str], against: str | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:  # fmt: skip
    """What evaluation.json holds: every variant of the folder over the dataset's tasks.

    Several seeds of a task are averaged first; images are resampled, not rows. Only rows measured
    in the same way on the same data stand beside each other: `left_out` lists the others.

    Args:
        request: the data set, and how it is measured.
        journal: the folder's rows.
        data: task id -> `Sample.digest()`.
        against: a variant of the folder.
        resamples: of every interval.

    Raises:
        UserError: the folder does not hold `against`.
    """
    found = collect_values(request, journal, data=data)
    if against is not None and against not in found:
        raise UserError(
            f"--against {against!r}: the folder holds no such variant{suggest_name(against, found)}"
        )
    categories = dict.fromkeys(task.category for task in request.dataset.tasks)
    rows, left_out = select_rows(request, journal, data=data)
    lacking = {name: _without_edits(request, rows, name) for name in found}
    return {
        "dataset": _describe(request.dataset),
        "protocol": request.protocol,
        "jpeg_75": request.jpeg_75,
        "resize": request.resize,
        "resamples": resamples,
        "variants": {
            name: {
                key: {**asdict(estimate(column, resamples=resamples)), **describe_metric(key)}
                for key, column in values.items()
            }
            for name, values in found.items()
        },
        "categories": {
            name: {kind: _means(request, values, kind) for kind in categories}
            for name, values in found.items()
        },
        "against": against,
        "paired": _paired(found, against, resamples=resamples) if against else {},
        "aggregates": {name: _aggregates(request, values) for name, values in found.items()},
        "psnr_of_mean_mse": {name: _psnr_of_means(values) for name, values in found.items()},
        "left_out": left_out,
        "missing": {name: missing for name, (missing, _) in lacking.items()},
        "fewer_runs": {name: partly for name, (_, partly) in lacking.items() if partly},
        "networks": {
            role: {"name": network.name, "sha256": network.digest}
            for role, network in request.networks.items()
        },
        "ways": request.ways,
        "versions": versions(),
    }


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {
        "kind": dataset.kind,
        "tasks": len(dataset.samples),
        "masks": sum(sample.mask is not None for sample in dataset.samples),
        "notes": list(dataset.notes),
    }


def select_rows(
    request: Request, journal: Journal, *, data: Mapping[str, str]
) -> tuple[dict[Key, Row], list[dict[str, Any]]]:
    """The rows that may stand in one table, and how many of each variant may not, and why."""
    rows: dict[Key, Row] = {}
    others: Counter[tuple[str, str, str]] = Counter()
    here = {(key[0], key[3]) for key in journal.rows if key[4] == request.protocol}
    for key, row in journal.rows.items():
        variant, task, _, metric, protocol = key
        if metric not in request.way_keys or task not in data:
            continue
        if protocol != request.protocol:
            if (variant, metric) not in here:
                others[variant, metric, f"measured by protocol {protocol}"] += 1
        elif row.how != request.way_keys[metric]:
            why = name_difference(request.ways[metric], journal.ways.get(row.how, {}))
            others[variant, metric, f"measured by {why}"] += 1
        elif row.data != data[task]:
            others[variant, metric, "measured on another source, mask, target or words"] += 1
        else:
            rows[key] = row
    return rows, [
        {"variant": variant, "metric": metric, "rows": count, "why": why}
        for (variant, metric, why), count in sorted(others.items())
    ]


def collect_values(
    request: Request, journal: Journal, *, data: Mapping[str, str]
) -> dict[str, dict[str, np.ndarray]]:
    """Variant -> metric -> a value per task of the data set; NaN for rows of another identity."""
    rows, left_out = select_rows(request, journal, data=data)
    others = (one["variant"] for one in left_out)
    variants = dict.fromkeys([request.variant, *(key[0] for key in rows), *others])
    return {name: _per_task(request, rows, name) for name in variants}


def _without_edits(
    request: Request, rows: Mapping[Key, Row], variant: str
) -> tuple[list[str], list[str]]:
    """The tasks of which some run of a variant has no value, though another row has one; and of
    these the ones of which another run of it has."""
    known = {key[:3] for key, row in rows.items() if not math.isnan(row.value)}
    runs = {run for name, _, run in known if name == variant}
    anywhere = {task for _, task, _ in known}
    lacks = {
        task.id: sum((variant, task.id, run) not in known for run in runs)
        for task in request.dataset.tasks
        if task.id in anywhere
    }
    missing = [task for task, count in lacks.items() if count]
    return missing, [task for task in missing if lacks[task] < len(runs)]


def say_left_out(summary: Mapping[str, Any]) -> list[str]:
    """A sentence a variant that has rows which may not stand beside the others."""
    said: dict[tuple[str, str, int], list[str]] = {}
    for one in summary["left_out"]:
        said.setdefault((one["variant"], one["why"], one["rows"]), []).append(one["metric"])
    return [
        f"left out of the table: {', '.join(metrics)} of {variant!r}, {count} "
        f"row{'s' if count > 1 else ''} each, {why}: evaluate it again"
        for (variant, why, count), metrics in said.items()
    ]


def _paired(
    found: Mapping[str, Mapping[str, np.ndarray]], against: str, *, resamples: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Variant -> metric -> its paired difference to `against`, Holm over them all."""
    check_pair = {
        (name, key): paired_difference(
            column, found[against][key], resamples=resamples,
            higher_is_better=bool(find_measure(key).higher_is_better),
        )
        for name, values in found.items()
        for key, column in values.items()
        if name != against and find_measure(key).paired == "test"
    }  # fmt: skip
    tested = {place: one.p for place, one in check_pair.items() if one.p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for (name, key), one in check_pair.items():
        table.setdefault(name, {})[key] = {**asdict(one), "holm_p": adjusted.get((name, key))}
    return table


def _per_task(request: Request, rows: Mapping[Key, Row], variant: str) -> dict[str, np.ndarray]:
    """Metric -> (tasks,) float64, averaged over seeds; NaN where a task has no value."""
    tasks = [task.id for task in request.dataset.tasks]
    seeds = sorted({key[2] for key in rows if key[0] == variant})
    values = {}
    for metric in request.columns:
        keys = [[(variant, t, s, metric, request.protocol) for s in seeds] for t in tasks]
        column = [[rows[k].value if k in rows else np.nan for k in row] for row in keys]
        values[metric] = over_seeds(np.array(column, float).reshape(len(tasks), len(seeds)))
    return values


def _means(
    request: Request, values: Mapping[str, np.ndarray], category: str
) -> dict[str, dict[str, float | int | None]]:
    """Mean and number of finite values of a category's tasks."""
    keep = np.array([task.category == category for task in request.dataset.tasks])
    found = {}
    for name, column in values.items():
        finite = column[keep & np.isfinite(column)]
        found[name] = {"mean": float(finite.mean()) if len(finite) else None, "n": len(finite)}
    return found


def _aggregates(
    request: Request, values: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float | None]]:
    """A judge's values as GEdit prints them: means of categories, then over categories, of all
    tasks and of every subset."""
    judged = {name: column for name, column in values.items() if name in JUDGED}
    if not judged:
        return {}
    samples = request.dataset.samples
    kinds = np.array([sample.task.category for sample in samples])
    parts = {"all": np.ones(len(samples), bool)}
    for name in dict.fromkeys(name for sample in samples for name in sample.subsets):
        parts[name] = np.array([name in sample.subsets for sample in samples])
    table: dict[str, dict[str, float | None]] = {}
    for part, where in parts.items():
        for name, column in judged.items():
            means = [
                column[there].mean()
                for kind in dict.fromkeys(kinds)
                if (there := where & (kinds == kind) & np.isfinite(column)).any()
            ]
            table.setdefault(part, {})[name] = float(np.mean(means)) if means else None
    return table


def _psnr_of_means(values: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Region -> PSNR of the mean MSE, which keeps perfect images; None where there is no error."""
    found: dict[str, float | None] = {}
    for name in (name for name in values if name.endswith("_mse")):
        finite = values[name][np.isfinite(values[name])]
        mean = float(finite.mean()) if len(finite) else 0.0
        found[name.removesuffix("_mse")] = float(-10 * np.log10(mean)) if mean > 0 else None
    return found
