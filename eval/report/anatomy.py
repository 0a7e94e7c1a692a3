"""How the method chooses, on examples -> reports/anatomy.png: attention and anchors, the table of
losses, what the net makes of it, the chosen box and the edit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from eval.report.contact_sheet import CHOSEN, TRUTH
from eval.report.edits import Row, caption
from eval.report.figures import save_figure
from lr_edit.types import Bank, Box, Choice, LossWeights

INK = "#333333"
COLUMNS = ("source, true box", "attention, anchors", "loss (yellow: low)",
           "probability (yellow: high)", "edit")  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A task as the sheet shows it, its bank, the net's (points, sizes), the choice."""

    row: Row
    bank: Bank
    probabilities: np.ndarray
    choice: Choice


def draw_anatomy(path: Path, examples: Sequence[Example], *, variant: str, note: str) -> None:
    """Write the figure; a row per example. Equal examples give equal bytes."""
    figure = Figure(figsize=(11, 2.4 * max(len(examples), 1) + 0.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(max(len(examples), 1), len(COLUMNS), squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title, fontsize=9, color=INK)
    for panels, one in zip(grid, examples, strict=False):
        _draw_row(list(panels), one, variant)
    figure.supxlabel(note, fontsize=7, color=INK, wrap=True)
    save_figure(figure, path, as_pdf=False)


def _draw_row(panels: Sequence[Axes], one: Example, variant: str) -> None:
    task, bank, edit = one.row.task, one.bank, one.row.edits[variant]
    source, looks, losses, chances, result = panels
    side = one.row.source.shape[0]
    _picture(source, one.row.source, task.truth.box if task.truth else None, TRUTH)
    words = textwrap.fill(caption(task), 40)
    source.set_xlabel(words, fontsize=6)
    _picture(looks, one.row.source, None, TRUTH)
    heat = bank.attention / max(float(bank.attention.max()), 1e-12)
    looks.imshow(heat, cmap="magma", alpha=0.2 + 0.6 * heat, extent=(0, side, side, 0))
    rows, cols = bank.attention.shape
    for rank, (row, col) in enumerate(bank.anchors):
        at = ((col + 0.5) * side / cols, (row + 0.5) * side / rows)
        looks.annotate(str(rank + 1), at, color="white", fontsize=8, ha="center", va="center",
                       path_effects=[withStroke(linewidth=1.5, foreground="black")])  # fmt: skip
    _table(losses, bank.loss(LossWeights()), one.choice, cmap="viridis_r")
    _table(chances, one.probabilities, one.choice, cmap="viridis")
    losses.set_xlabel("sizes, by anchors downward", fontsize=6)
    chances.set_xlabel("framed: taken", fontsize=6)
    _picture(result, edit.edited, edit.box, CHOSEN)
    iou = one.row.iou(variant)
    result.set_xlabel("" if iou is None else f"IoU {iou:.2f}", fontsize=6)


def _picture(axes: Axes, image: np.ndarray, box: Box | None, colour: str) -> None:
    side = image.shape[0]
    axes.imshow(image, extent=(0, side, side, 0), interpolation="nearest")
    if box:
        size = (box.right - box.left, box.bottom - box.top)
        axes.add_patch(Rectangle((box.left, box.top), *size, fill=False, ec=colour, lw=2))


def _table(axes: Axes, table: np.ndarray, choice: Choice, *, cmap: str) -> None:
    axes.imshow(table, cmap=cmap, aspect="auto")
    corner = (choice.size - 0.5, choice.point - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, ec=CHOSEN, lw=2))
