"""An evaluation's numbers for people: one line per metric, and the editors side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.metrics import pie_bench
from eval.metrics.suite import MAGICBRUSH, find_measure
from eval.report.render import render_markdown
from eval.report.tables import Cell, Column, Line, Table
from lr_edit.workspace.inert import markdown_text

HEAD = ("metric", "mean", "95% interval", "n", "NaN", "inf")


@dataclass(frozen=True)
class Published:
    """Somebody's numbers, in the table's own units, and what must be said of them."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    note: str


_RERUN = (
    "The published row is a user's rerun of MagicBrush's first checkpoint over its test set; it "
    "compares only with a run over the same images by the networks of its script."
)


def _rerun(*values: float) -> Published:
    rows = {"MagicBrush, a user's rerun": values}
    return Published("MagicBrush", MAGICBRUSH[:5], rows, _RERUN)


# (data set, protocol) -> what stands below its tables.
PUBLISHED = {
    ("pie-bench", "pie-bench"): Published(
        "PIE-Bench",
        pie_bench.PUBLISHED_COLUMNS,
        pie_bench.PUBLISHED,
        "Published rows: PnPInversion's table over its 700 images; they compare only with a run "
        "over the same images by the networks named in that protocol.",
    ),
    ("magicbrush", "strict"): _rerun(0.0656, 0.0217, 0.9253, 0.8895, 0.2722),
    ("magicbrush-final", "strict"): _rerun(0.0850, 0.0297, 0.8985, 0.8436, 0.2764),
}


def table(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One line per metric (and a variant, where there are several), in the columns of `HEAD`."""
    several = len(summary["variants"]) > 1
    lines = []
    for name, metrics in summary["variants"].items():
        for key, cell in metrics.items():
            title = f"{name}: {label(key)}" if several else label(key)
            shown = [printed(key, cell[part]) for part in ("mean", "low", "high")]
            interval = f"[{shown[1]}, {shown[2]}]" if cell["low"] is not None else ""
            counts = (str(cell[part]) for part in ("n", "missing", "infinite"))
            lines.append((title, shown[0], interval, *counts))
    return lines


def markdown(summary: Mapping[str, Any]) -> str:
    """table.md: what the numbers are, a line per metric, and the editors side by side."""
    lines_of = [tuple(map(markdown_text, line)) for line in table(summary)]
    rows = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *lines_of]
    wide = side_by_side(summary)
    lines = [caption(summary), "", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(
        [*lines, "## Side by side", "", markdown_text(wide.note), "", render_markdown(wide)]
    )


def side_by_side(summary: Mapping[str, Any]) -> Table:
    """A row an editor; below published rows, where the data set has any under this protocol."""
    published = PUBLISHED.get((summary["dataset"]["kind"], summary["protocol"]))
    measured = next(iter(summary["variants"].values()))
    names = published.columns if published else tuple(measured)
    columns = tuple(Column(find_measure(key), find_measure(key).group) for key in names)
    blocks: dict[str, list[Line]] = {}
    note = caption(summary)
    if summary["against"]:
        note += f" Δ is the paired difference to {summary['against']}; * marks Holm p below 0.05."
        if any(one.measure.title == "PSNR" for one in columns):
            note += " PSNR, which equal pixels make infinite, is not compared."
    endless = {
        name: max((cell.get("infinite", 0) for cell in cells.values() if cell["n"]), default=0)
        for name, cells in summary["variants"].items()
    }
    if any(endless.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in endless.items() if count)
        note += f" PSNR leaves out infinite values ({counts}), and has no best where there are any."
    for name, tasks in summary.get("fewer_runs", {}).items():
        note += f" {name}: {len(tasks)} tasks by fewer than all of its runs."
    if published:
        blocks["Published"] = [
            Line(name, tuple(_in_units(*cell) for cell in zip(values, columns, strict=True)))
            for name, values in published.rows.items()
        ]
        note += f" {published.note}"
    lines = {name: Line(name, tuple(_cell(summary, name, key) for key in names))
             for name in summary["variants"]}  # fmt: skip
    blocks["Measured here" if published else ""] = lines_of = list[Line]()
    tasks = {name: count_tasks(summary, name) for name in lines}
    for name, line in lines.items():  # each apart: its means are of other images
        if tasks[name] == max(tasks.values()):
            lines_of.append(line)
        else:
            blocks[f"On {tasks[name]} of the {max(tasks.values())} tasks: {name}"] = [line]
    title = published.title if published else "Editors"
    return Table(letter="", title=title, note=note, columns=columns, blocks=blocks)


def count_tasks(summary: Mapping[str, Any], name: str) -> int:
    """Tasks of which an editor has a value of some metric."""
    cells = summary["variants"][name].values()
    return max((cell["n"] + cell.get("infinite", 0) for cell in cells), default=0)


def _in_units(value: float, column: Column) -> Cell:
    return Cell("", {"mean": value / 10**column.measure.power})


def _cell(summary: Mapping[str, Any], name: str, key: str) -> Cell:
    one = summary["variants"][name].get(key, {"mean": None})
    if one["mean"] is None and one.get("infinite"):  # every image perfect
        one = {**one, "mean": float("inf")}
    return Cell(f"variants.{name}.{key}", one, summary["paired"].get(name, {}).get(key, {}))


def caption(summary: Mapping[str, Any]) -> str:
    """Protocol, dataset, networks: what must stand beside the numbers."""
    dataset = summary["dataset"]
    nets = ", ".join(f"{role} {net['name']}" for role, net in summary["networks"].items())
    jpeg = ", edits as JPEG of quality 75" if summary["jpeg_75"] else ""
    jpeg += ", edits resized to their sources (bicubic)" if summary["resize"] else ""
    return (
        f"Protocol {summary['protocol']}{jpeg}; {dataset['kind']}, {dataset['tasks']} tasks, "
        f"{dataset['masks']} with a mask; networks: {nets or 'none'}. Means over finite values, "
        f"95% bootstrap intervals over images."
    )


def label(name: str) -> str:
    """A metric, its factor and which way is better: `background_mse x10^4 ↓`."""
    measure = find_measure(name)
    return f"{name}{f' x10^{measure.power}' if measure.power else ''} {measure.arrow}"


def printed(name: str, value: float | None) -> str:
    """A value times its metric's factor; nothing for None."""
    measure = find_measure(name)
    return "" if value is None else f"{value * 10**measure.power:.{measure.decimals}f}"
