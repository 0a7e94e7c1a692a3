"""One variant's per-image values in memory and as a long CSV: the contract of evaluate and report.

One row for each task, seed and metric; `COLUMNS` names its cells.
A missing value is an empty cell whose status says so; a perfect PSNR is `inf`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.metrics.registry import BY_KEY, MEASURES, PROTOCOL, is_headline
from eval.statistics import over_seeds
from lr_edit.errors import UserError, shorten
from lr_edit.workspace.storage import atomic_write

COLUMNS = (
    "variant", "task", "category", "seed", "metric", "region", "protocol", "value", "status",
)  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """values: metric -> (tasks, seeds) float64, NaN where missing."""

    variant: str
    tasks: tuple[str, ...]
    categories: tuple[str, ...]
    values: dict[str, np.ndarray]

    @property
    def seeds(self) -> int:
        """Choices a task."""
        return next(iter(self.values.values())).shape[1]

    def per_task(self, metric: str) -> np.ndarray:
        """(tasks,): averaged over seeds first."""
        return over_seeds(self.values[metric])

    def where(self, category: str | None = None) -> np.ndarray:
        """(tasks,) bool: of this category, or, without one, of the headline."""
        if category is None:
            return np.array([is_headline(c) for c in self.categories], bool)
        return np.array([c == category for c in self.categories], bool)

    def averaged(self) -> Scores:
        """The same with one value per task."""
        values = {name: self.per_task(name)[:, None] for name in self.values}
        return Scores(self.variant, self.tasks, self.categories, values)


def rows(scores: Scores, *, seeds: Iterable[str], digits: int | None = None) -> Iterator[list[str]]:
    """The lines of the long CSV; `seeds` names the columns of the values."""
    names = list(seeds)
    for metric, values in scores.values.items():
        region = BY_KEY[metric].region
        for task, category, row in zip(scores.tasks, scores.categories, values, strict=True):
            for seed, value in zip(names, row.tolist(), strict=True):
                text, status = value_cell(value, digits)
                yield [
                    scores.variant, task, category, seed, metric, region, PROTOCOL, text, status,
                ]  # fmt: skip


def value_cell(value: float, digits: int | None = None) -> tuple[str, str]:
    """A value as the CSV writes it, and its status; `digits` rounds."""
    if math.isnan(value):
        return "", "missing"
    text = repr(value) if digits is None else f"{value:.{digits}g}"
    return text, "infinite" if math.isinf(value) else "ok"


def write_rows(path: Path, lines: Iterable[list[str]]) -> None:
    """The long CSV, header first."""
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)


def read_scores(path: Path) -> Scores:
    """One variant's scores from its long CSV. UserError if missing, another's, or not one."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file, strict=True))
        if not lines or tuple(lines[0]) != COLUMNS:
            raise ValueError("other columns")
        cells = {(line["metric"], line["task"], line["seed"]): _value(line) for line in lines}
        wanted = math.prod(len({line[key] for line in lines}) for key in ("metric", "task", "seed"))
        if lacking := {measure.key for measure in MEASURES} - {metric for metric, _, _ in cells}:
            raise ValueError(f"no {min(lacking)}")
        if not len(cells) == len(lines) == wanted:
            raise ValueError(f"{len(cells)} values of {wanted}")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage evaluate (dvc repro)") from None
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{path} holds no per-image scores ({shorten(error)}): run its stage evaluate again"
        ) from None
    if others := {line["variant"] for line in lines} - {path.stem}:
        raise UserError(
            f"{path} holds the scores of {shorten(min(others))}: run its stage evaluate again"
        )
    tasks = {line["task"]: line["category"] for line in lines}
    seeds = {seed: at for at, seed in enumerate(dict.fromkeys(line["seed"] for line in lines))}
    place = {task: at for at, task in enumerate(tasks)}
    metrics = dict.fromkeys(line["metric"] for line in lines)
    values = {name: np.full((len(tasks), len(seeds)), np.nan) for name in metrics}
    for (metric, task, seed), value in cells.items():
        values[metric][place[task], seeds[seed]] = value
    return Scores(path.stem, tuple(tasks), tuple(tasks.values()), values)


def _value(line: dict[str, str]) -> float:
    """What `value_cell` wrote; ValueError for anything else."""
    text, status = line.get("value"), line.get("status")
    value = float(text or "nan")
    if value_cell(value)[1] != status:
        raise ValueError(f"the value {text!r} is {status!r}")
    return value
