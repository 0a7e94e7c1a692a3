"""The figure of what size the method chose for what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.report.edits import Row
from eval.report.figures import save_figure

INK, ACCENT = "#333333", "#1f6fb2"


def draw_sizes(path: Path, rows: Sequence[Row], *, variant: str, title: str, note: str) -> None:
    """Root of the chosen box's area against that of the true box, in pixels, a dot per task."""
    figure = Figure(figsize=(4.8, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    pairs = [
        (row.task.truth.box.area**0.5, row.edits[variant].box.area ** 0.5)
        for row in rows
        if row.task.truth and row.task.truth.box
    ]
    if pairs:
        true, chosen = np.array(pairs).T
        span = [0.0, float(max(true.max(), chosen.max())) * 1.05]
        axes.plot(span, span, color=INK, lw=1, ls=":", label="as large as the object")
        axes.scatter(true, chosen, s=16, color=ACCENT, alpha=0.6, lw=0, label="a task")
        axes.set(xlim=span, ylim=span)
        axes.legend(frameon=False, fontsize=8)
        if len(true) > 2 and np.ptp(chosen) > 0 and np.ptp(true) > 0:
            title += f"\ncorrelation {np.corrcoef(true, chosen)[0, 1]:.2f}"
    axes.set_title(title, fontsize=8)
    axes.set(xlabel="side of the object's box, pixels", ylabel="side of the chosen box, pixels")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(note, fontsize=6, color=INK, wrap=True)
    save_figure(figure, path)
