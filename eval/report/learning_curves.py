"""reports/training.json -> training_curves.png: how every variant that learned did so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.report.figures import save_figure

DPI = 120
INK, ACCENT, FLOOR = "#333333", "#1f6fb2", "#b23a1f"


def draw_training(
    path: Path,
    curves: Mapping[str, Mapping[str, Any]],
    *,
    learning: Mapping[str, Any],
    titles: Mapping[str, str],
    note: str,
) -> None:
    """A row per variant: expected loss against step, and every task's start against its end.

    `curves` is what reports/training.json holds, `learning` the section of results.json.
    """
    rows = max(len(curves), 1)
    figure = Figure(figsize=(10, 4 * rows + 0.5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 2, squeeze=False, width_ratios=(3, 2))
    for pair, (name, one) in zip(axes, curves.items(), strict=False):
        _draw_curve(pair[0], one, title=f"{titles.get(name, name)}\n({name}, {one['learner']})")
        _draw_ends(pair[1], one, learning[name])
    if not curves:
        for panel in axes[0]:
            panel.axis("off")
        axes[0][0].text(0.5, 0.5, "no variant of this study learns", ha="center")
    figure.supxlabel(note, fontsize=8, color=INK, wrap=True)
    save_figure(figure, path)


def _draw_curve(axes: Axes, one: Mapping[str, Any], *, title: str) -> None:
    steps = one["steps"]
    axes.fill_between(
        steps, one["low"], one["high"], color=ACCENT, alpha=0.15, lw=0, label="10% to 90% of tasks"
    )
    axes.plot(steps, one["mean"], color=ACCENT, lw=2, label="mean over tasks")
    axes.axhline(np.mean(one["start"]), color=INK, lw=1, ls=":", label="mean start")
    axes.axhline(np.mean(one["floor"]), color=FLOOR, lw=1, ls="--", label="mean floor of the table")
    axes.set(
        xlabel="step",
        ylabel="expected loss under π",
        xlim=(steps[0], max(steps[-1], steps[0] + 1)),
    )
    axes.set_title(title, fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_ends(axes: Axes, one: Mapping[str, Any], learning: Mapping[str, Any]) -> None:
    closed, ends = learning["gap_closed"], [one["start"], one["end"]]
    span = [float(np.min(ends)), float(np.max(ends))]
    axes.plot(span, span, color=INK, lw=1, ls=":")
    axes.scatter(ends[0], ends[1], s=14, color=ACCENT, alpha=0.7, lw=0)
    title = f"fell on {round(100 * learning['fell'])}% of {len(one['start'])} tasks"
    if closed["mean"] is not None:
        title += f"\ngap closed: {100 * closed['mean']:.0f}%"
        if closed["low"] is not None:
            title += f" [{100 * closed['low']:.0f}, {100 * closed['high']:.0f}]"
    axes.set(xlabel="expected loss at the start", ylabel="at the end")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
