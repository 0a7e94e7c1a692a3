"""What the rows of `ablations` chose -> tables by group, a CSV, and score against candidates paid.

A group's first row is the one that its others are compared with, task by task. Every row is scored
from the same judged candidates; nothing is painted for a row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.conventions import BY_KEY, Measure
from eval.evaluate import Table, candidates_paid, cell, read_judgements, score_choices
from eval.scores import Scores
from eval.statistics import estimate, holm, paired_difference
from eval.tables import shown
from lr_edit.config import Ablation, Config
from lr_edit.storage import read_banks, read_json, whole
from lr_edit.types import Choice, EditTask

KEYS = ("success", "iou", "score_s", "loss", "candidates", "unet_evaluations")
TESTED = ("success", "iou", "score_s", "loss")
TITLES = {
    "regions": "Regions: who draws the boxes, who picks one",
    "losses": "Losses: the lowest sum of these at every anchor, then the highest S",
    "learners": "Learners: one AnchorNet an image",
    "anchors": "Anchors: the first K of DINO's",
    "sizes": "Sizes: M of the six",
    "budget": "Luck: the best S of so many candidates drawn from the bank",
}
TICKS = (1, 3, 9, 18, 54)  # candidates
INK, ACCENT, OTHER = "#333333", "#1f6fb2", "#b23a1f"


def ablation_scores(root: Path, config: Config, tasks: list[EditTask]) -> dict[str, list[Scores]]:
    """Group -> scores of its rows, in the order of params.yaml."""
    if not config.ablations:
        return {}
    chosen = read_json(root / "artifacts/ablations.json")
    return {
        group: [_score(root, tasks, name, row, chosen[group][name]) for name, row in rows.items()]
        for group, rows in config.ablations.items()
    }


def _score(
    root: Path, tasks: list[EditTask], name: str, row: Ablation, chosen: dict[str, Any]
) -> Scores:
    banks = [
        bank.part(points=row.points, sizes=row.sizes)
        for bank in read_banks(root, row.proposals, tasks)
    ]
    judged = [_part(table, row) for table in read_judgements(root, row.proposals, tasks)]
    paid = chosen["paid"] or [candidates_paid(row, bank, trained=None) for bank in banks]
    choices = [[Choice(*pair) for pair in seeds] for seeds in chosen["choices"]]
    return score_choices(name, tasks, choices=choices, banks=banks, judged=judged, paid=paid)


def _part(table: Table, row: Ablation) -> Table:
    """The judged candidates that a row sees."""
    columns = slice(None) if row.sizes is None else list(row.sizes)
    return {key: values[: row.points][:, columns] for key, values in table.items()}


def ablation_results(
    scores: dict[str, list[Scores]], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Group -> row -> metric -> mean, interval, and the paired difference to the first row; Holm's
    adjustment runs over each group."""
    return {group: _group(rows, resamples=resamples, seed=seed) for group, rows in scores.items()}


def _group(rows: list[Scores], *, resamples: int, seed: int) -> dict[str, Any]:
    first, tests = rows[0], {}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    keep = first.where()
    for row in rows:
        found[row.variant] = {
            key: {**cell(estimate(row.per_task(key)[keep], resamples=resamples, seed=seed))}
            for key in KEYS
        }
        for key in TESTED if row is not first else ():
            one = paired_difference(
                row.per_task(key)[keep],
                first.per_task(key)[keep],
                higher_is_better=BY_KEY[key].higher_is_better,
                resamples=resamples,
                seed=seed,
            )
            found[row.variant][key]["paired"] = asdict(one)
            tests[row.variant, key] = one.p
    known = {place: p for place, p in tests.items() if p is not None}
    for (name, key), p in zip(known, holm(list(known.values())), strict=True):
        found[name][key]["paired"]["holm_p"] = p
    return found


def ablations_page(results: dict[str, Any], *, caption: str) -> str:
    """reports/ablations.md: a table a group."""
    lines = [
        "# Ablations",
        "",
        f"{caption} Rows of `ablations` in params.yaml on shared candidates; 95% bootstrap "
        "intervals over tasks; Δ is the paired difference to the group's first row, * where "
        "Holm's p over the group is below 0.05. In results.json: `ablations`; `lr-edit trace "
        "GROUP/ROW METRIC` says where a number comes from.",
        "",
        "![Score against candidates paid](cost.png)",
        "",
    ]
    measures = [BY_KEY[key] for key in KEYS]
    head = ["Row", *(f"{m.title} {m.arrow}" for m in measures)]
    for group, rows in results.items():
        lines += [f"## {TITLES.get(group, group)}", "", _pipes(head)]
        lines.append(_pipes(["---", *["---:"] * len(measures)]))
        lines += [
            _pipes([name, *(_cell(row[m.key], m) for m in measures)]) for name, row in rows.items()
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(one: dict[str, Any], measure: Measure) -> str:
    text = shown(one["mean"], measure)
    if one["low"] is not None and one["low"] != one["high"]:
        text += f"<br><sub>[{shown(one['low'], measure)}, {shown(one['high'], measure)}]</sub>"
    paired = one.get("paired")
    if paired and paired["difference"] is not None:
        star = "*" if paired.get("holm_p", 1.0) < 0.05 else ""
        text += f"<br><sub>Δ {shown(paired['difference'], measure, sign=True)}{star}"
        if paired["low"] is not None and paired["low"] != paired["high"]:
            low, high = (shown(paired[key], measure, sign=True) for key in ("low", "high"))
            text += f" [{low}, {high}]"
        text += "</sub>"
    return text


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def ablations_csv(results: dict[str, Any]) -> str:
    """A line a group, row and metric, unscaled."""
    text = io.StringIO()
    fields = ("key", "group", "row", "metric", "mean", "low", "high", "n", "difference",
              "difference_low", "difference_high", "p", "p_holm")  # fmt: skip
    writer = csv.DictWriter(text, fields, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for group, rows in results.items():
        for name, row in rows.items():
            for key, one in row.items():
                paired = one.get("paired") or {}
                writer.writerow(
                    {
                        "key": f"ablations.{group}.{name}.{key}",
                        "group": group,
                        "row": name,
                        "metric": key,
                        **one,
                        "difference": paired.get("difference"),
                        "difference_low": paired.get("low"),
                        "difference_high": paired.get("high"),
                        "p": paired.get("p"),
                        "p_holm": paired.get("holm_p"),
                    }
                )
    return text.getvalue()


def cost_figure(path: Path, results: dict[str, Any], *, caption: str) -> None:
    """S and success against the candidates that had to be painted, every strategy a point."""
    figure = Figure(figsize=(10, 4.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, key in zip(figure.subplots(1, 2), ("score_s", "success"), strict=True):
        measure = BY_KEY[key]
        budget = results.get("budget", {})
        curve = [row for name, row in budget.items() if name.startswith("random-")]
        if curve:
            paid = [row["candidates"]["mean"] for row in curve]
            mean, low, high = ([_scaled(row[key][k], measure) for row in curve]
                               for k in ("mean", "low", "high"))  # fmt: skip
            axes.fill_between(paid, low, high, color=ACCENT, alpha=0.15, lw=0)
            axes.plot(paid, mean, color=ACCENT, marker="o", ms=3, label="best S of m drawn")
        places = [
            (name, row["candidates"]["mean"], _scaled(row[key]["mean"], measure))
            for name, row in results.get("regions", {}).items()
        ]
        axes.plot([x for _, x, _ in places], [y for *_, y in places], "o", ms=4, color=OTHER)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
        axes.minorticks_off()
        for name, x, y, at in _spread(places):
            axes.annotate(name, (x, y), (x * 1.12, at), fontsize=6, color=INK, va="center",
                          arrowprops={"arrowstyle": "-", "lw": 0.3, "color": INK})  # fmt: skip
        axes.set(xlabel="candidates painted a task", ylabel=f"{measure.title} {measure.arrow}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7) if curve else None
    figure.supxlabel(caption, fontsize=7, color=INK, wrap=True)
    with whole(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def _spread(
    places: Sequence[tuple[str, float, float]],
) -> Iterator[tuple[str, float, float, float]]:
    """Names with a height for their label, so that labels of one column do not overlap."""
    heights = [y for *_, y in places if np.isfinite(y)]
    least = 0.034 * (max(heights) - min(heights)) if heights else 0.0
    last: dict[float, float] = {}
    for name, x, y in sorted(places, key=lambda place: place[2]):
        if np.isfinite(y):
            last[x] = max(y, last.get(x, -np.inf) + least)
            yield name, x, y, last[x]


def _scaled(value: float | None, measure: Measure) -> float:
    return np.nan if value is None else value * 10**measure.power
