"""Training curves of every variant that learned -> reports/training_curves.png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.study.learning import TrainingRecord
from lr_edit.workspace.storage import atomic_write

DPI = 120
INK, ACCENT, FLOOR = "#333333", "#1f6fb2", "#b23a1f"


def training_curves(
    path: Path, trainings: Sequence[TrainingRecord], *, learning: dict[str, Any], caption: str
) -> None:
    """A row a variant: expected loss against step, and every task's start against its end."""
    rows = max(len(trainings), 1)
    figure = Figure(figsize=(10, 4 * rows + 0.5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 2, squeeze=False, width_ratios=(3, 2))
    for pair, training in zip(axes, trainings, strict=False):
        _curve(pair[0], training)
        _start_and_end(pair[1], training, learning[training.variant])
    if not trainings:
        for panel in axes[0]:
            panel.axis("off")
        axes[0][0].text(0.5, 0.5, "no variant of this study learns", ha="center")
    figure.supxlabel(caption, fontsize=8, color=INK, wrap=True)
    _save(figure, path)


def _curve(axes: Axes, training: TrainingRecord) -> None:
    steps, curve = training.steps, training.curve
    low, high = np.nanpercentile(curve, [10, 90], axis=0)
    axes.fill_between(steps, low, high, color=ACCENT, alpha=0.15, lw=0, label="10% to 90% of tasks")
    axes.plot(steps, np.nanmean(curve, axis=0), color=ACCENT, lw=2, label="mean over tasks")
    axes.axhline(training.start.mean(), color=INK, lw=1, ls=":", label="mean start")
    axes.axhline(training.floor.mean(), color=FLOOR, lw=1, ls="--", label="mean floor of the table")
    axes.set(
        xlabel="step",
        ylabel="expected loss under π",
        title=f"{training.variant} ({training.learner})",
        xlim=(steps[0], max(steps[-1], steps[0] + 1)),
    )
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _start_and_end(axes: Axes, training: TrainingRecord, learning: dict[str, Any]) -> None:
    closed = learning["gap_closed"]
    ends = [training.start, training.end]
    span = [float(np.min(ends)), float(np.max(ends))]
    axes.plot(span, span, color=INK, lw=1, ls=":")
    axes.scatter(training.start, training.end, s=14, color=ACCENT, alpha=0.7, lw=0)
    title = f"fell on {round(100 * training.fell)}% of {len(training.start)} tasks"
    if closed["mean"] is not None:
        title += f"\ngap closed: {100 * closed['mean']:.0f}%"
        if closed["low"] is not None:
            title += f" [{100 * closed['low']:.0f}, {100 * closed['high']:.0f}]"
    axes.set(xlabel="expected loss at the start", ylabel="at the end", title=title)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    """No date and no version in the file: equal figures are equal bytes."""
    with atomic_write(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
