"""Score against candidates inpainted, every strategy a point -> reports/cost.png."""

from __future__ import annotations

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
from lr_edit.workspace.storage import atomic_write

TICKS = (1, 3, 9, 18, 27, 54)  # candidates
INK, LUCK = "#333333", "#1f6fb2"
# Groups of `ablations` whose rows are strategies, and their colours; a row of two is drawn once.
GROUPS = {"regions": "#b23a1f", "learners": "#2a8c4a", "amortised": "#7a4fb5", "editors": "#b8860b"}
# Of rows that pay the same, so many of the best are named: amortised.png has them all.
NAMED = {"amortised": 2}


@dataclass(frozen=True)
class Place:
    """A strategy: where its point is."""

    name: str
    group: str
    candidates: float
    value: float


def cost_figure(path: Path, results: dict[str, Any], *, caption: str) -> None:
    """`results` are those of the ablations. Two panels: S and success."""
    figure = Figure(figsize=(12, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, key in zip(figure.subplots(1, 2), ("score_s", "success"), strict=True):
        measure = BY_KEY[key]
        _luck(axes, results.get("budget", {}), measure)
        places = list(_places(results, measure))
        for group, colour in GROUPS.items():
            mine = [(one.candidates, one.value) for one in places if one.group == group]
            if mine:
                axes.plot(*zip(*mine, strict=True), "o", ms=5, color=colour, label=group)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
        axes.minorticks_off()
        axes.set_xlim(0.85, 160)
        low = _lowest(places)
        axes.set_ylim(bottom=low)
        for one, at, left in _spread(places, low):
            name = one.name if one.value >= low else f"{one.name} ({one.value:.2f}, below)"
            axes.annotate(name, (one.candidates, max(one.value, low)),
                          (one.candidates * (0.9 if left else 1.1), at), fontsize=6, va="center",
                          color=GROUPS[one.group], ha="right" if left else "left",
                          arrowprops={"arrowstyle": "-", "lw": 0.3, "color": INK})  # fmt: skip
        unit = ", %" if measure.power == 2 else ""
        axes.set(
            xlabel="candidates painted a task", ylabel=f"{measure.title}{unit} {measure.arrow}"
        )
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8, loc="best")
    figure.supxlabel(caption, fontsize=7, color=INK, wrap=True)
    with atomic_write(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def _luck(axes: Axes, budget: dict[str, Any], measure: Measure) -> None:
    """The best S of m candidates drawn from the bank, with its interval."""
    rows = [row for name, row in budget.items() if name.startswith("random-")]
    rows.sort(key=lambda row: row["candidates"]["mean"])
    if not rows:
        return
    candidates = [row["candidates"]["mean"] for row in rows]
    mean, low, high = (
        [_scaled(row[measure.key][part], measure) for row in rows]
        for part in ("mean", "low", "high")
    )
    axes.fill_between(candidates, low, high, color=LUCK, alpha=0.15, lw=0)
    axes.plot(
        candidates, mean, color=LUCK, marker="o", ms=3, label="best S of m drawn from the bank"
    )


def _places(results: dict[str, Any], measure: Measure) -> Iterator[Place]:
    seen = set()
    for group in GROUPS:
        for name, row in results.get(group, {}).items():
            value = _scaled(row[measure.key]["mean"], measure)
            if name not in seen and np.isfinite(value):
                seen.add(name)
                yield Place(name, group, row["candidates"]["mean"], value)


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
    for at, every in columns.items():
        column = [one for k, one in enumerate(every) if _is_named(one, every[k + 1 :])]
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


def _is_named(one: Place, better: Sequence[Place]) -> bool:
    """Whether few enough rows of its group stand above it."""
    above = sum(other.group == one.group for other in better)
    return above < NAMED.get(one.group, len(better) + 1)


def _scaled(value: float | None, measure: Measure) -> float:
    return np.nan if value is None else value * 10**measure.power
