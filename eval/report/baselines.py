"""Detectors and editors without a region, beside the method: two tables, and what they say.

The words follow from the numbers, as in `claims`: a difference is only called one where its
interval leaves zero out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from eval.metrics.registry import BY_KEY, Measure
from eval.report.tables import Cell, Column, Line, Table, format_interval, format_value
from eval.study.strata import GROUP, STRATA
from lr_edit.config import Config

SUCCESS = replace(BY_KEY["success"], decimals=1)
IN_PLACE = (
    "In place asks for the wanted thing in a crop at the true box, and that every bystander is "
    "still of its kind and colour; success also looks at the pixels of bystanders and ground, "
    "which an editor's autoencoder moves all over the picture, however right the edit looks."
)
WHERE = "Where: how often right, by what a scene holds"  # a table's title
CHANGES = (
    Measure("hit", "Hit", "", True, "edited", power=2, decimals=1),
    Measure("miss", "Miss", "", False, "edited", power=2, decimals=1),
    Measure("leak", "Leak", "", False, "background", power=2, decimals=1),
    Measure("leak_size", "Leak size", "", False, "background", power=2, decimals=2),
    Measure("auc", "AUC", "", True, "whole", power=2, decimals=1),
)
VERDICTS = (("better with", 1), ("worse with", -1))
ASKED = ("learned", "text-128-top-3-by-loss", "grounded-5", "instructed")  # against the detector


def baseline_tables(results: dict[str, Any], config: Config) -> list[Table]:
    """Success by what a scene holds, and where pictures changed; of each, nothing where the study
    has no such rows, or knows no truth."""
    made = [_strata_table(results.get("strata", {}), config), _changes_table(results, config)]
    return [table for table in made if table]


def _strata_table(strata: dict[str, Any], config: Config) -> Table | None:
    sizes = {
        name: one["n"]
        for rows in strata.values()
        for row in rows.values()
        for name, one in row.items()
    }
    known = [name for name in STRATA if name in sizes]
    if not known:
        return None
    return Table(
        letter="",
        title=WHERE,
        note=f"In %, over as many tasks as stand in brackets; a task may stand under several "
        f"heads. {IN_PLACE} Δ is the paired difference to the first row, by no test that is "
        "adjusted over the table.",
        columns=tuple(
            Column(replace(SUCCESS, key=name, title=f"{STRATA[name][0]} ({sizes[name]})"), "")
            for name in known
        ),
        blocks={
            BY_KEY[metric].title: [
                Line(
                    row,
                    tuple(_stratum(f"{metric}.{row}", name, found) for name in known),
                    title=config.title_of(row, group=GROUP),
                )
                for row, found in rows.items()
            ]
            for metric, rows in strata.items()
        },
    )


def _changes_table(results: dict[str, Any], config: Config) -> Table | None:
    changes = results.get("changes")
    if not changes:
        return None
    return Table(
        letter="",
        title="Where the picture changed, against the true box",
        note="Shares of the true box that changed (hit) and that did not (miss), and of the rest "
        "that did (leak); how much the rest changed (leak size, its mean difference), and how well "
        "the difference tells box from rest (AUC). The first seed's edit stands for a row.",
        columns=tuple(Column(measure, "") for measure in CHANGES),
        blocks={
            "": [
                Line(
                    name,
                    tuple(Cell(f"changes.{name}.{one.key}", row[one.key]) for one in CHANGES),
                    title=config.title_of(name),
                )
                for name, row in changes.items()
            ]
        },
    )


def _stratum(row: str, name: str, found: dict[str, Any]) -> Cell:
    one = found.get(name) or {"mean": None}
    return Cell(f"strata.{row}.{name}", one, one.get("paired") or {})


def describe_baselines(results: dict[str, Any], config: Config) -> list[str]:
    """Sentences: each row that is asked about against the first of its group, as a whole and where;
    then what an editor without a region does to the rest of the picture."""
    strata = results.get("strata", {})
    rows = strata.get("success", {})
    if not any(rows.values()):
        return []
    first = next(iter(rows))
    said = [
        _against(results, config, row, first=first) for row in ASKED if row in rows and row != first
    ]
    told = _changes(results["changes"], config, ("instructed", first))
    return [IN_PLACE, *said, *([told] if told else [])]


def _against(results: dict[str, Any], config: Config, row: str, *, first: str) -> str:
    nfe = {name: results["ablations"][GROUP][name]["nfe"]["mean"] for name in (row, first)}
    parts = [f"{_capital(_title(config, row))} ({nfe[row]:.0f} NFE), against "
             f"{_title(config, first)} ({nfe[first]:.0f} NFE)."]  # fmt: skip
    for metric, rows in results["strata"].items():
        places = {name: rows[row][name] for name in STRATA if name in rows[row]}
        whole = places.pop("all", None)
        if whole is None:
            continue
        parts.append(
            f"{BY_KEY[metric].title}: {_shown(whole)}, against {_shown(rows[first]['all'])}, "
            f"{_difference(whole['paired'])};"
        )
        told = [
            f"{words} {_listed(STRATA[name][0] for name in names)}"
            for words, wanted in VERDICTS
            if (names := [name for name in places if _sign(places[name]) == wanted])
        ]
        parts.append(f"{', '.join(told) or 'no difference found anywhere'}.")
    return " ".join(parts)


def _changes(changes: dict[str, Any], config: Config, names: Iterable[str]) -> str:
    told = [
        f"{_title(config, name)} changes {_shown(one['hit'], CHANGES[0])} of the true box and "
        f"{_shown(one['leak'], CHANGES[2])} of the rest"
        for name in names
        if (one := changes.get(name))
    ]
    return f"{_capital(_listed(told))}." if told else ""


def _title(config: Config, name: str) -> str:
    return config.title_of(name, group=GROUP)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _shown(one: dict[str, Any], measure: Measure = SUCCESS) -> str:
    return f"{format_value(one['mean'], measure)}% {format_interval(one, measure)}".rstrip()


def _difference(paired: dict[str, Any]) -> str:
    if paired.get("difference") is None:
        return "no difference"
    text = format_value(paired["difference"], SUCCESS, sign=True)
    return f"{text} points {format_interval(paired, SUCCESS, sign=True)}".rstrip()


def _sign(one: dict[str, Any]) -> int:
    """1 better, -1 worse, 0 where the interval holds zero or there is none."""
    low, high = one["paired"].get("low"), one["paired"].get("high")
    if low is None or high is None or low <= 0 <= high:
        return 0
    return 1 if low > 0 else -1


def _listed(parts: Iterable[str]) -> str:
    *most, last = list(parts)
    return f"{', '.join(most)} and {last}" if most else last
