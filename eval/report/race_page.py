"""What was measured of a race -> race.csv; from that alone race.md and race.png."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, ScalarFormatter

from eval.metrics.registry import describe_world
from eval.report.figures import save_figure
from eval.report.render import render
from eval.study.race import FULL, GROUP, OTHERS, Above, Interval, Measured
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.workspace.storage import atomic_write

INK = "#333333"
CORRELATION, RETENTION, GAIN = "correlation", "retention", "s_above_released"
FIELDS = ("measure", "kind", "name", "nfe", "value", "low", "high", "p", "tasks")


def write_measured(path: Path, measured: Measured) -> None:
    """race.csv: sets of previews, strategies, and these against the release."""
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for measure, rows in ((CORRELATION, measured.previews), (RETENTION, measured.kept)):
            writer.writerows(
                (measure, r.kind, r.name, r.nfe, r.value, r.low, r.high, "", measured.tasks)
                for r in rows
            )
        writer.writerows(
            (GAIN, "", r.name, "", r.difference, r.low, "", r.p, measured.tasks)
            for r in measured.against
        )


def read_measured(path: Path, config: Config) -> Measured:
    """What `write_measured` kept. UserError where it is missing or another file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage race (dvc repro)") from None
    if not lines or tuple(lines[0]) != FIELDS:
        raise UserError(f"{path} holds no race: run the stage race (dvc repro)")

    def intervals(measure: str) -> list[Interval]:
        return [
            Interval(one["kind"], one["name"], *(float(one[key]) for key in FIELDS[3:7]))
            for one in lines
            if one["measure"] == measure
        ]

    against = [
        Above(one["name"], float(one["value"]), float(one["low"]), float(one["p"]))
        for one in lines
        if one["measure"] == GAIN
    ]
    rows = config.ablations.get(GROUP, {})
    races = frozenset(name for name, row in rows.items() if row.previews)
    tasks = int(lines[0]["tasks"])
    return Measured(intervals(CORRELATION), intervals(RETENTION), against, races, tasks)


def write_race_pages(reports: Path, config: Config) -> list[str]:
    """race.md and race.png from race.csv; their names."""
    measured = read_measured(reports / "race.csv", config)
    world = describe_world(world=config.models.world, profile=config.profile)
    note = f"{world} Split {config.study.split}, {measured.tasks} tasks, 95% bootstrap intervals."
    with atomic_write(reports / "race.md") as part:
        part.write_text(race_page(measured, config, note=note), encoding="utf-8")
    draw_race(reports / "race.png", measured, config=config, note=note)
    return ["race.md", "race.png"]


def race_page(measured: Measured, config: Config, *, note: str) -> str:
    """race.md: a sentence per claim, each with its interval, then the tables."""
    gains = {
        one.name: f"{one.difference:+.3f} (≥ {one.low:+.3f}, p {one.p:.2g})"
        for one in measured.against
    }
    kept = [
        {
            "key": one.name, "title": config.title_of(one.name, group=GROUP),
            "nfe": f"{one.nfe:.0f}", "kept": _percent(one), "gain": gains.get(one.name, ""),
        }
        for one in measured.kept
    ]  # fmt: skip
    previews = [
        {
            "key": one.name, "title": config.title_of(one.name, group="previews"),
            "nfe": f"{one.nfe:.0f}",
            "value": f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]",
        }
        for one in measured.previews
    ]  # fmt: skip
    return render(
        "race.md.j2", note=note, claims=race_claims(measured, config), kept=kept, previews=previews
    )


def race_claims(measured: Measured, config: Config) -> list[str]:
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
        title = config.title_of(one.name, group=GROUP)
        said.append(
            f"{title[0].upper()}{title[1:]}: {one.nfe:.0f} NFE per task, "
            f"{most / one.nfe:.1f} times fewer than inpainting every box, keep "
            f"{_percent(one)}% of what the best box has over a random one{than}."
        )
    if measured.previews:
        first, last = (pick(measured.previews, key=lambda one: one.value) for pick in (max, min))
        names = [config.title_of(one.name, group="previews") for one in (first, last)]
        said.append(
            f"The ranking by previews of {names[0]} is nearest to the finals', Spearman "
            f"{first.value:.2f} [{first.low:.2f}, {first.high:.2f}], that of {names[1]} farthest, "
            f"{last.value:.2f} [{last.low:.2f}, {last.high:.2f}]."
        )
    return said


def _percent(one: Interval) -> str:
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def _kind_in_words(kind: str, config: Config) -> str:
    """`race, every box: preview-1 → guided-6 → dino` with the rounds by their titles."""
    who, colon, rounds = kind.partition(": ")
    if " → " not in rounds:
        return kind
    *previews, final = rounds.split(" → ")
    words = [config.title_of(name, group="previews") for name in previews]
    last = "full quality" if final == "dino" else config.title_of(final, group="previews")
    return f"{who}{colon}{' → '.join([*words, last])}"


def draw_race(path: Path, measured: Measured, *, config: Config, note: str) -> None:
    """Retention against NFE per task; rank correlation against NFE per candidate."""
    figure = Figure(figsize=(10, 5.2), dpi=120, layout="constrained")
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
                          label=_kind_in_words(kind, config))  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if left.containers:
        lines = left.get_legend_handles_labels()
        figure.legend(*lines, loc="outside upper left", ncols=2, frameon=False, fontsize=7)
    if right.containers:
        right.legend(frameon=False, fontsize=7, loc="upper left")
    left.set(xlabel="NFE per task (UNet evaluations)", ylabel="retention, % ↑")
    right.set(xlabel="NFE per candidate", ylabel="rank correlation with finals ↑")
    figure.supxlabel(note, fontsize=7, color=INK, wrap=True)
    save_figure(figure, path)
