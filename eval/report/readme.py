"""results.json -> the words of the pages on a code host: README's results, reports/*.md.

The sentences and rows are made here, the pages around them are templates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eval.metrics.registry import BY_KEY, describe_world
from eval.report.amortised import GROUP
from eval.report.baselines import describe_baselines
from eval.report.captions import table_caption, write_glossary
from eval.report.claims import Claim, read_claims
from eval.report.render import render
from eval.report.tables import Table, format_interval, format_value
from eval.study.agreement import UNSEEN
from eval.study.diagnosis import WHAT_IF
from eval.study.results import WORTH
from lr_edit.config import Config
from lr_edit.errors import UserError

START, END = "<!-- results -->", "<!-- /results -->"
# Rows and columns that a reader of README sees; rows that were not run are left out.
FIRST = (
    "learned", "dino-random-size", "grounded-1", "grounded-5", "detected", "ground-truth-box",
)  # fmt: skip
GROUPS = (GROUP, "grounded", "default")  # of the ablations: whose rows may be among them
COLUMNS = ("success", "iou", "score_s", "nfe")


def insert_results(
    page: str, results: dict[str, Any], *, config: Config, held_out: Sequence[Claim] = ()
) -> str:
    """README.md with the study's results between its two marks; UserError without the marks."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(f"README.md lacks the marks {START} and {END}: put them back")
    return f"{before}{START}\n{front_results(results, config, held_out=held_out)}{END}{after}"


def front_results(
    results: dict[str, Any], config: Config, *, held_out: Sequence[Claim] = ()
) -> str:
    """A row per line of `FIRST`, and the claims that lead; means with 95% intervals. `held_out`
    answers some of them on tasks on which nothing was chosen."""
    ablations = results.get("ablations", {})
    groups = {name: group for group in GROUPS for name in ablations.get(group, {})}
    known = {name: ablations[group][name] for name, group in groups.items()}
    known |= {**results["ceilings"], **results["variants"]}
    rows = [
        {
            "key": name,
            "title": config.title_of(name, group=groups.get(name, "rows")),
            "cells": [_cell(known[name][key], key) for key in COLUMNS],
        }
        for name in FIRST
        if name in known
    ]
    heads = [f"{BY_KEY[key].title}{', %' if BY_KEY[key].power == 2 else ''}" for key in COLUMNS]
    claims = [claim for claim in read_claims(results, config) if claim.leads]
    answered = {one.question for one in held_out}
    claims = [*(one for one in claims if one.question not in answered), *held_out]
    return render(
        "front.md.j2", rows=rows, heads=heads, claims=[one.finding for one in claims],
        glossary=write_glossary(results), meta=results["meta"],
        world=describe_world(world=config.models.world, profile=config.profile),
    )  # fmt: skip


def write_tables_page(tables: Sequence[Table], results: dict[str, Any], *, config: Config) -> str:
    """tables.md: every table under its letter."""
    measure = BY_KEY["background_psnr"]
    psnr = [
        {
            "key": name,
            "title": config.title_of(name),
            "perfect": one["infinite"],
            "shown": format_value(_of_mean_mse(one), measure),
        }
        for name, one in results["psnr"].items()
    ]
    return render(
        "tables.md.j2", tables=tables, results=results, psnr=psnr, glossary=write_glossary(results),
        caption=table_caption(results),
    )  # fmt: skip


def write_results_page(tables: Sequence[Table], results: dict[str, Any], *, config: Config) -> str:
    """The page a code host shows for reports/."""
    meta, method = results["meta"], results["method"]
    return render(
        "results.md.j2",
        results=results,
        main=tables[0],
        glossary=write_glossary(results),
        claims=read_claims(results, config),
        letters=[(table, _anchor(table)) for table in tables if table.letter],
        judges=[(role, name) for role, name in meta["judges"].items() if name],
        shared=" and ".join(meta["shared_with_method"]),
        agreement=_agreement(results),
        baselines=describe_baselines(results, config),
        baseline=config.title_of(meta["baseline"]),
        worth=[
            {"title": BY_KEY[key].title, "points": f"{100 * by:.0f}", "said": _worth(key)}
            for key, by in WORTH.items()
        ],
        enough=_number_of_tasks(results, config),
        resolution=_resolution(results, config),
        method={"key": method["name"], "title": _capital(config.title_of(method["name"]))},
        what_if=list(WHAT_IF.values()),
        reach=[
            {
                "key": name,
                "title": config.title_of(name, group="default"),
                "cells": [_cell(row[what], "success") if what in row else "" for what in WHAT_IF],
            }
            for name, row in method.get("reach", {}).items()
        ],
        learning=_learning(results, config),
        amortised=bool(results["ablations"].get(GROUP)),
    )


def _cell(value: dict[str, float | None], key: str) -> str:
    measure = replace(BY_KEY[key], decimals=1) if BY_KEY[key].power == 2 else BY_KEY[key]
    known = key != "nfe" and value["mean"] is not None
    interval = format_interval(value, measure) if known else ""
    return f"{format_value(value['mean'], measure)} {interval}".rstrip()


def _agreement(results: dict[str, Any]) -> list[str]:
    """How far the judge agrees with labels by eye, by the draws that no choice was made on."""
    found = results.get("agreement", {})
    if "unseen" not in found:
        return []
    one = found["unseen"]
    draws = [f"{100 * found[draw]['agree']:.1f}" for draw in UNSEEN if draw in found]
    share, low, high = (f"{100 * one[key]:.1f}" for key in ("agree", "low", "high"))
    two = found.get("labellers")
    several = (
        " Where three labelled the same edits, what most of them say counts; two of them agree on "
        f"{100 * two['agree']:.1f}% (kappa {two['kappa']:.2f})."
        if two
        else ""
    )
    return [
        f"Labels by eye agree with the judge's success on {share}% [{low}, {high}] of {one['n']} "
        f"edits drawn over all rows and labelled without its word (Cohen's kappa "
        f"{one['kappa']:.2f}; draw by draw {', '.join(draws)}%); its thresholds were chosen on two "
        f"other draws.{several}"
    ]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _anchor(table: Table) -> str:
    """What a code host calls a heading."""
    kept = "".join(c for c in table.heading.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def _worth(key: str) -> str:
    return f"{100 * WORTH[key]:.0f} points of {BY_KEY[key].title}"


def _resolution(results: dict[str, Any], config: Config) -> list[dict[str, Any]]:
    """The smallest differences that this many tasks find, and how many others would take."""
    return [
        {
            "key": name,
            "title": config.title_of(name),
            "cells": [
                cell
                for key in WORTH
                for cell in (
                    (f"{100 * found[key]['detectable']:.1f}", str(found[key]["needed"]))
                    if key in found
                    else ("–", "–")
                )
            ],
        }
        for name, found in results["resolution"].items()
    ]


def _number_of_tasks(results: dict[str, Any], config: Config) -> str:
    """How the number of tasks follows from what is worth seeing, and what they cost."""
    meta, method = results["meta"], results["method"]["name"]
    n, found = meta["tasks"]["headline"], results["resolution"].get(method, {})
    needed = {_worth(key): found[key]["needed"] for key in WORTH if key in found}
    enough = [f"{name} ({count} would do)" for name, count in needed.items() if count <= n]
    short = [f"{name} ({count} would)" for name, count in needed.items() if count > n]
    parts = [
        f"find {' and '.join(enough)}" if enough else "",
        f"do not find {' and '.join(short)}" if short else "",
    ]
    said = " but ".join(part for part in parts if part) or "are what there is"
    return (
        f"For {config.title_of(method)}, {n} tasks {said}. The split's "
        f"{meta['tasks']['all']} tasks cost {meta['nfe']:,} NFE."
    )


def _of_mean_mse(one: dict[str, Any]) -> float | None:
    """inf where nothing changed in any background."""
    return math.inf if one["of_mean_mse"] is None and one["infinite"] else one["of_mean_mse"]


def _learning(results: dict[str, Any], config: Config) -> list[dict[str, Any]]:
    return [
        {
            "key": name,
            "title": _capital(config.title_of(name)),
            "learner": one["learner"],
            "fell": f"{100 * one['fell']:.0f}",
            "tasks": one["tasks"],
            "closed": _percent(one["gap_closed"]),
            "scored": _percent(one["gap_closed_z"]),
        }
        for name, one in results["learning"].items()
    ]


def _percent(cell: dict[str, Any]) -> str:
    if cell["mean"] is None:
        return "an unknown share"
    interval = f" [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]" if cell["low"] else ""
    return f"{100 * cell['mean']:.1f}%{interval}"
