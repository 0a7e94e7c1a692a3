"""The dataset-level AnchorNet: what it reaches on unseen tasks against how many it learned from."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.metrics.registry import ABLATED, Measure
from eval.report.figures import save_figure
from lr_edit.config import Config
from lr_edit.variant import Ablation

GROUP = "amortised"
SHOWN = ("expected_loss", "score_s", "iou", "success")
COLOURS = {False: "#1f6fb2", True: "#b23a1f"}
INK = "#333333"
ENDS = ("blind-0", "argmin-table")  # of the gap that learning may close


def draw_amortised(path: Path, config: Config, *, results: dict[str, Any], note: str) -> None:
    """A panel per metric: nets that choose one size per anchor, by what they see and learned from.

    `results` are the group's, by row; its first row is what the bars compare with.
    """
    rows = config.ablations.get(GROUP, {})
    figure = Figure(figsize=(14, 3.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(SHOWN))
    for axes, key in zip(panels, SHOWN, strict=True):
        cells = {name: row[key] for name, row in results.items()}
        _draw_panel(axes, ABLATED[key], rows, cells, config)
    if results:
        lines = panels[0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside right center", frameon=False, fontsize=8)
        _draw_gap_closed(panels[SHOWN.index("expected_loss")], results)
    bars = " Bars: 95% intervals of the paired difference to the first line." if results else ""
    figure.supxlabel(note + bars, fontsize=7, color=INK, wrap=True)
    save_figure(figure, path)


def _draw_panel(
    axes: Axes, measure: Measure, rows: Mapping[str, Ablation], cells: dict[str, dict[str, Any]],
    config: Config,
) -> None:  # fmt: skip
    scale = 10**measure.power
    nets = {
        name: row for name, row in rows.items() if row.scope == "dataset" and row.choose == "net"
    }
    sizes = sorted({row.trained_on for row in nets.values()})
    for text, colour in COLOURS.items():
        curve = sorted(
            (row.trained_on, name)
            for name, row in nets.items()
            if row.text == text and row.top is None
        )
        if curve:
            found = [cells[name] for _, name in curve]
            mean = np.array([one["mean"] for one in found], float) * scale
            axes.errorbar(
                [sizes.index(count) + 0.06 * (text - 0.5) for count, _ in curve],
                mean,
                yerr=np.array([_bar(one) for one in found]).T * scale,
                color=colour, marker="o", ms=4, lw=1.5, elinewidth=0.8, capsize=2,
                label="net that reads the words" if text else "net, image alone (as released)",
            )  # fmt: skip
    lines = [name for name, row in rows.items() if name not in nets and row.points is None]
    for name, style in zip(lines, ("-", "--", ":", "-."), strict=False):
        if cells[name]["mean"] is not None:
            height, words = cells[name]["mean"] * scale, _wrap(config, name)
            axes.axhline(height, color=INK, lw=1, ls=style, label=words)
    axes.set_xticks(range(len(sizes)), [str(count) for count in sizes])
    unit = ", %" if measure.power == 2 else ""
    axes.grid(alpha=0.25)
    axes.set(xlabel="images learned from", title=f"{measure.title}{unit} {measure.arrow}")
    axes.spines[["top", "right"]].set_visible(False)


def _wrap(config: Config, name: str) -> str:
    return textwrap.fill(config.title_of(name, group=GROUP), 34)


def _draw_gap_closed(axes: Axes, results: dict[str, Any]) -> None:
    """A second scale: the share of the way from the blind start to the floor of the tables."""
    ends = [results.get(name, {}).get("expected_loss", {}).get("mean") for name in ENDS]
    if None not in ends and ends[0] != ends[1]:
        start, floor = ends
        share = axes.secondary_yaxis(
            "right",
            functions=(
                lambda j: 100 * (start - j) / (start - floor),
                lambda percent: start - percent * (start - floor) / 100,
            ),
        )
        share.set_ylabel("gap closed, %", fontsize=8)


def _bar(one: dict[str, Any]) -> tuple[float, float]:
    """How far the paired interval reaches below and above the mean."""
    paired = one.get("paired") or {}
    if paired.get("low") is None:
        return 0.0, 0.0
    return paired["difference"] - paired["low"], paired["high"] - paired["difference"]
