"""Score against candidates inpainted, every strategy a numbered point -> reports/cost.png."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import optimize

from eval.metrics.registry import BY_KEY, Measure
from eval.report.figures import save_figure
from lr_edit.config import Config

TICKS = (1, 3, 9, 18, 27, 54)  # candidates
INK, RANDOM = "#333333", "#1f6fb2"
# Groups of `ablations` whose rows are strategies, and their colours; a row of two is drawn once.
GROUPS = {
    "regions": "#b23a1f", "learners": "#2a8c4a", "amortised": "#7a4fb5", "editors": "#b8860b",
    "grounded": "#0a7f86", "baselines": "#b0307a", "default": "#555555",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A strategy: its number in the legend, and where its point is."""

    number: int
    group: str
    candidates: float
    value: float


def draw_cost(path: Path, results: dict[str, Any], *, config: Config, note: str) -> None:
    """`results` are those of the ablations. Two panels, S and success, and the legend of rows."""
    names = _strategies(results)
    figure = Figure(figsize=(15, 7.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right, legend = figure.subplots(1, 3, width_ratios=(5, 5, 5))
    for axes, key in ((left, "score_s"), (right, "success")):
        measure = BY_KEY[key]
        _draw_random(axes, results.get("budget", {}), measure)
        places = list(_places(results, names, measure))
        for group, colour in GROUPS.items():
            mine = [(one.candidates, one.value) for one in places if one.group == group]
            if mine:
                axes.plot(*zip(*mine, strict=True), "o", ms=5, color=colour, label=group)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
        axes.minorticks_off()
        axes.set_xlim(0.75, 90)
        low = _lowest(places)
        axes.set_ylim(bottom=low)
        for one, at, left_side in _spread(places, low):
            below = f" ({one.value:.2f}, below)" if one.value < low else ""
            axes.annotate(f"{one.number}{below}", (one.candidates, max(one.value, low)),
                          (one.candidates * (0.9 if left_side else 1.1), at), fontsize=7,
                          va="center", color=GROUPS[one.group], ha="right" if left_side else "left",
                          arrowprops={"arrowstyle": "-", "lw": 0.3, "color": INK})  # fmt: skip
        unit = ", %" if measure.power == 2 else ""
        axes.set(
            xlabel="candidates inpainted per task", ylabel=f"{measure.title}{unit} {measure.arrow}"
        )
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes is left and axes.get_legend_handles_labels()[0]:  # the other panel is full
            axes.legend(frameon=False, fontsize=8, loc="upper left")
    _draw_legend(legend, names, config)
    figure.supxlabel(note, fontsize=7, color=INK, wrap=True)
    save_figure(figure, path)


def _strategies(results: dict[str, Any]) -> dict[str, str]:
    """Row -> the first group that has it."""
    rows = ((name, group) for group in GROUPS for name in results.get(group, {}))
    found: dict[str, str] = {}
    for name, group in rows:
        found.setdefault(name, group)
    return found


def _draw_legend(axes: Axes, names: dict[str, str], config: Config) -> None:
    """Every row by its number, in plain words."""
    axes.axis("off")
    for at, (name, group) in enumerate(names.items()):
        words = textwrap.shorten(config.title_of(name, group=group), 84, placeholder="…")
        axes.text(0, 1 - (at + 0.5) / max(len(names), 30), f"{at + 1}  {words}", fontsize=6.5,
                  va="center", color=GROUPS[group], transform=axes.transAxes)  # fmt: skip


def _draw_random(axes: Axes, budget: dict[str, Any], measure: Measure) -> None:
    """The best S of k candidates drawn at random, with its interval."""
    rows = [row for name, row in budget.items() if name.startswith("random-")]
    rows.sort(key=lambda row: row["candidates"]["mean"])
    if not rows:
        return
    candidates = [row["candidates"]["mean"] for row in rows]
    mean, low, high = (
        [_scaled(row[measure.key][part], measure) for row in rows]
        for part in ("mean", "low", "high")
    )
    axes.fill_between(candidates, low, high, color=RANDOM, alpha=0.15, lw=0)
    axes.plot(candidates, mean, color=RANDOM, marker="o", ms=3, label="random-k: best S of k drawn")


def _places(results: dict[str, Any], names: dict[str, str], measure: Measure) -> Iterator[Place]:
    for at, (name, group) in enumerate(names.items()):
        row = results[group][name]
        value = _scaled(row[measure.key]["mean"], measure)
        if np.isfinite(value):
            yield Place(at + 1, group, row["candidates"]["mean"], value)


def _lowest(places: Sequence[Place]) -> float:
    """Where the axis starts: a strategy far below all others is named there, not drawn to scale."""
    values = np.array([one.value for one in places] or [0.0, 1.0])
    far = np.median(values) - 4 * (values.max() - np.median(values))
    kept = values[values >= far]
    return float(kept.min() - 0.08 * (kept.max() - kept.min() or 1.0))


def _spread(places: Sequence[Place], low: float) -> Iterator[tuple[Place, float, bool]]:
    """Places with a height for their label, and whether it stands to the left.

    Labels of one column keep their order and a least distance, as near to their points as that
    leaves them: an isotonic regression.
    """
    least = 0.026 * (max((one.value for one in places), default=low) - low)
    ranks = sorted({_column(one) for one in places})
    near = {at: any(0 < other - at <= 3 for other in ranks) for at in ranks}
    columns: dict[int, list[Place]] = {}
    for one in sorted(places, key=lambda one: one.value):
        at = _column(one)
        while near[at] and near.get(at - 1, near.get(at - 2)):  # both to the left: one column
            at -= 1 if at - 1 in near else 2
        columns.setdefault(at, []).append(one)
    for at, column in columns.items():
        steps = least * np.arange(len(column))
        values = np.array([max(one.value, low) for one in column])
        heights = optimize.isotonic_regression(values - steps).x + steps
        yield from zip(
            column, np.maximum(heights, low + least + steps).tolist(), [near[at]] * len(column),
            strict=True,
        )  # fmt: skip


def _column(one: Place) -> int:
    """Points of about the same cost stand over one another; where the next column is near, labels
    go to the left."""
    return round(4 * np.log2(max(one.candidates, 1)))


def _scaled(value: float | None, measure: Measure) -> float:
    return np.nan if value is None else value * 10**measure.power
