"""The race's page, table and figure: reports/race.md, race.csv and race.png of a study."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, ScalarFormatter

from eval.metrics.registry import describe_world
from eval.study.race import FULL, OTHERS, Interval, Measured, measure_race
from lr_edit.config import Config
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import atomic_write

INK = "#333333"


def write_race(root: Path, config: Config) -> Path:
    """Fill race.{md,csv,png} of the study's reports; returns the page.

    Raises UserError for a study that has no race.
    """
    measured, out = measure_race(root, config), reports_folder(root)
    world = describe_world(world=config.models.world, profile=config.profile)
    note = f"{world} Split {config.study.split}, {measured.tasks} tasks, 95% bootstrap intervals."
    with atomic_write(out / "race.md") as part:
        part.write_text(race_page(measured, note=note), encoding="utf-8")
    _write_csv(out / "race.csv", measured)
    race_figure(out / "race.png", measured, caption=note)
    return out / "race.md"


def race_page(measured: Measured, *, note: str) -> str:
    """race.md: a sentence a claim, each with its interval, then the tables."""
    lines = ["# The race", "", note, ""]
    lines += [f"- {sentence}" for sentence in claims(measured)]
    lines += [
        "",
        "![Retention and rank correlation against UNet evaluations](race.png)",
        "",
    ]
    lines += ["## What a strategy keeps", "", "Retention is (S − S_random) / (S_best − S_random): "
              "0 is one box drawn at random, 100 the best of the whole bank.", ""]  # fmt: skip
    lines += ["| strategy | UNet evaluations a task | retention, % | S − S of the release |",
              "| --- | ---: | ---: | ---: |"]  # fmt: skip
    gains = {
        one.name: f"{one.difference:+.3f} (≥ {one.low:+.3f}, p {one.p:.2g})"
        for one in measured.against
    }
    lines += [
        f"| {one.name} | {one.nfe:.0f} | {_percent(one)} | {gains.get(one.name, '')} |"
        for one in measured.kept
    ]
    lines += ["", "In brackets: the lower end of the one-sided 95% interval, and Wilcoxon's "
              "one-sided p.", "", "## What a preview foretells", "",
              "Spearman's correlation of S within an image, preview against final.", "",
              "| preview | UNet evaluations a candidate | correlation |",
              "| --- | ---: | ---: |"]  # fmt: skip
    lines += [
        f"| {one.name} | {one.nfe:.0f} | {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] |"
        for one in measured.previews
    ]
    return "\n".join(lines) + "\n"


def claims(measured: Measured) -> list[str]:
    """What the numbers say, in sentences; of the races, the kind that comes first."""
    said = []
    gains = {one.name: one for one in measured.against}
    most = next((one.nfe for one in measured.kept if one.name == FULL), np.nan)
    raced = [one for one in measured.kept if one.name in measured.races]
    for one in (one for one in raced if one.kind == raced[0].kind):
        gain = gains.get(one.name)
        than = "" if gain is None else (
            f"; its S is {gain.difference:+.3f} to the released procedure's, at least "
            f"{gain.low:+.3f}: {'above it' if gain.low > 0 else 'not shown to be above it'}"
        )  # fmt: skip
        said.append(
            f"`{one.name}` spends {one.nfe:.0f} UNet evaluations a task, "
            f"{most / one.nfe:.1f} times fewer than painting every box, and keeps "
            f"{_percent(one)}% of what the best box has over a random one{than}."
        )
    if measured.previews:
        first, last = (pick(measured.previews, key=lambda one: one.value) for pick in (max, min))
        said.append(
            f"The ranking of `{first.name}` is nearest to the finals', Spearman {first.value:.2f} "
            f"[{first.low:.2f}, {first.high:.2f}], that of `{last.name}` farthest, "
            f"{last.value:.2f} [{last.low:.2f}, {last.high:.2f}]."
        )
    return said


def _percent(one: Interval) -> str:
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def _write_csv(path: Path, measured: Measured) -> None:
    with atomic_write(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("measure", "name", "nfe", "value", "low", "high"))
        for measure, rows in (("correlation", measured.previews), ("retention", measured.kept)):
            writer.writerows((measure, r.name, r.nfe, r.value, r.low, r.high) for r in rows)
        writer.writerows(
            ("s_above_released", r.name, "", r.difference, r.low, "") for r in measured.against
        )


def race_figure(path: Path, measured: Measured, *, caption: str) -> None:
    """Retention against evaluations a task; correlation against evaluations a candidate."""
    figure = Figure(figsize=(10, 4.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for axes, points, scale in ((left, measured.kept, 100.0), (right, measured.previews, 1.0)):
        series: dict[str, list[Interval]] = {}
        for one in points:  # a kind of one member is no series
            alone = sum(other.kind == one.kind for other in points) == 1
            series.setdefault(OTHERS if alone else one.kind, []).append(one)
        for at, (kind, own) in enumerate(series.items()):
            own.sort(key=lambda one: one.nfe)
            value = scale * np.array([one.value for one in own])
            reach = [
                [scale * (o.value - o.low) for o in own],
                [scale * (o.high - o.value) for o in own],
            ]
            line = "none" if kind == OTHERS else "-"
            axes.errorbar([one.nfe for one in own], value, yerr=np.abs(reach), marker="o",
                          ls=line, ms=4, lw=1.2, elinewidth=0.8, capsize=2, color=f"C{at}",
                          label=kind)  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    for axes, place in ((left, "lower right"), (right, "upper left")):
        axes.legend(frameon=False, fontsize=7, loc=place) if axes.containers else None
    left.set(xlabel="UNet evaluations a task", ylabel="retention, % ↑")
    right.set(xlabel="UNet evaluations a candidate", ylabel="rank correlation with finals ↑")
    figure.supxlabel(caption, fontsize=7, color=INK, wrap=True)
    with atomic_write(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
