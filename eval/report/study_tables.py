"""results.json -> the tables of a study, by letter.

Variants, and their tests against the baseline
A  beside the paper's Table 2: random boxes        B  beside its Table 1: other editors
C  regions    D  losses    E  learners and cost    F  by category
G and on: the remaining groups of `ablations`, in the order of params.yaml
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eval.metrics.registry import ABLATED, APART, BY_KEY, MEASURES, Measure
from eval.report.tables import Cell, Column, Line, Table
from eval.study.ablations import TITLES
from eval.study.preferences import JUDGED, PAPER

LETTERS = {"regions": "C", "losses": "D", "learners": "E"}
AFTER_F = "GHIJKLMNOPQRSTUVWXYZ"
# What is printed; the CSV holds every metric.
MAIN = (
    "structure_distance", "background_psnr", "lpips", "background_mse", "background_ssim",
    "clip_whole", "clip_edited", "iou", "success", "score_s", "candidates",
)  # fmt: skip
REGIONS = ("success", "success_kind", "success_colour", "iou", "hit", "area_ratio", "score_s",
           "candidates")  # fmt: skip
LEARNED = ("expected_loss", "success", "iou", "score_s", "loss", "candidates", "nfe")
PLAIN = ("success", "iou", "score_s", "loss", "candidates", "nfe")
TESTED = ("success", "iou", "score_s")
CATEGORY = ("success", "iou", "score_s")
NUMBER = Measure("", "", "", None, "whole")
STATISTICS = {  # of a paired comparison: key -> title, power, decimals
    "difference": ("Δ", 2, 2), "p": ("Wilcoxon p", 0, 3), "holm_p": ("Holm p", 0, 3),
    "win_rate": ("Wins", 2, 1), "sign_p": ("Sign p", 0, 3), "effect": ("Effect d", 0, 2),
}  # fmt: skip


def study_tables(results: dict[str, Any], *, references: Sequence[str]) -> list[Table]:
    """Every table that the results fill, in the order of the letters."""
    groups = results["ablations"]
    named = [_group(results, name, LETTERS[name]) for name in LETTERS if name in groups]
    others = [name for name in groups if name not in LETTERS]
    rest = [_group(results, name, at) for name, at in zip(others, AFTER_F, strict=False)]
    tables = [
        main_table(results, references=references),
        _tests(results),
        *_preferences(results),
        *named,
        _categories(results, references=references),
        *rest,
    ]
    return [table for table in tables if any(table.blocks.values())]


def main_table(results: dict[str, Any], *, references: Sequence[str]) -> Table:
    """The variants, and apart from them the rows that know the answer."""
    meta = results["meta"]
    columns = [Column(measure, measure.group) for measure in MEASURES]
    printed = [c for key in MAIN for c in columns if c.measure.key == key]
    return Table(
        letter="",
        title="Variants",
        note=f"{table_caption(results)} The difference is paired, to {meta['baseline']}; "
        "* marks Holm-adjusted p below 0.05.",
        columns=tuple(printed),
        more=tuple(c for c in columns if c not in printed),
        blocks=_blocks(results, references=references, order=[*printed,
                       *(c for c in columns if c not in printed)]),
    )  # fmt: skip


def table_caption(results: dict[str, Any]) -> str:
    """What the numbers are, in one paragraph."""
    meta = results["meta"]
    apart = f"; {' and '.join(meta['apart'])} apart" if meta["apart"] else ""
    known = any(row["iou"]["n"] for row in results["variants"].values())
    regions = "mean the task's true box" if known else "are missing: no true box is known"
    return (
        f"{meta['caption']} Means over {meta['tasks']['headline']} tasks "
        f"({', '.join(meta['headline'])}{apart}), split {meta['split']}, protocol "
        f"{meta['protocol']}, with 95% bootstrap intervals over tasks. Random draws and random "
        f"starts are averaged over their seeds within a task. Background and edited {regions}."
    )


def _blocks(
    results: dict[str, Any], *, references: Sequence[str], order: Sequence[Column]
) -> dict[str, list[Line]]:
    variants = results["variants"]
    keys = [column.measure.key for column in order]

    def lines(block: str, names: Iterable[str]) -> list[Line]:
        return [
            Line(
                f"{name} (baseline)" if name == results["meta"]["baseline"] else name,
                tuple(_of_variant(results, block, name, key) for key in keys),
            )
            for name in names
        ]

    known = lines("variants", [name for name in variants if name in references])
    return {
        "Variants": lines("variants", [name for name in variants if name not in references]),
        "With the truth or the whole table in hand": [
            *known,
            *lines("ceilings", results["ceilings"]),
        ],
    }


def _of_variant(results: dict[str, Any], block: str, name: str, key: str) -> Cell:
    """A perfect PSNR is inf where every background is perfect: its mean leaves those out."""
    one = results[block][name][key]
    if key == "background_psnr" and one["mean"] is None and results["psnr"][name]["infinite"]:
        one = {**one, "mean": float("inf")}
    return Cell(f"{block}.{name}.{key}", one, _against(results, name, key))


def _against(results: dict[str, Any], name: str, key: str) -> dict[str, Any]:
    """The paired difference to the baseline and its tests; empty for the baseline and ceilings."""
    baseline = results["meta"]["baseline"]
    found = (results[section][baseline].get(name, {}).get(key, {}) for section in
             ("paired", "tests"))  # fmt: skip
    return {part: value for one in found for part, value in one.items()}


def _tests(results: dict[str, Any]) -> Table:
    """Difference first, then what tests say of it; a block a metric."""
    baseline = results["meta"]["baseline"]
    columns = tuple(
        Column(
            replace(NUMBER, key=part, title=title, power=power, decimals=decimals),
            "",
            probability=part.endswith("p"),
        )
        for part, (title, power, decimals) in STATISTICS.items()
    )
    names = [name for name in results["variants"] if name != baseline]
    return Table(
        letter="",
        title=f"Tests against {baseline}",
        note="Paired over tasks: the mean difference with its 95% interval, Wilcoxon's signed-rank "
        "test, Holm's adjustment over every test of the table above, the share of tasks won (a tie "
        "is half a win) with the sign test, and the mean difference over its standard deviation.",
        columns=columns,
        blocks={
            BY_KEY[key].title: [
                Line(name, tuple(_statistic(results, name, key, part) for part in STATISTICS))
                for name in names
            ]
            for key in TESTED
        },
    )


def _statistic(results: dict[str, Any], name: str, key: str, part: str) -> Cell:
    paired = _against(results, name, key)
    one = {"mean": paired.get(part)}
    if part == "difference":
        one |= {"low": paired.get("low"), "high": paired.get("high")}
    section = "tests" if part in ("holm_p", "win_rate", "sign_p", "effect") else "paired"
    return Cell(f"{section}.{results['meta']['baseline']}.{name}.{key}.{part}", one)


def _preferences(results: dict[str, Any]) -> list[Table]:
    """Tables A and B: people's preferences beside a judge's."""
    found, method = results["method"]["preferences"], results["method"]["name"]
    titles = {"A": "Beside the paper's Table 2: random boxes",
              "B": "Beside the paper's Table 1: other editors"}  # fmt: skip
    people = Column(
        replace(NUMBER, key="people", title="People", power=2, decimals=1), "Paper, photos"
    )
    judged = [
        Column(
            replace(BY_KEY[key], power=2, decimals=1, higher_is_better=None), "Judges, this study"
        )
        for key in JUDGED
    ]
    note = (
        f"Share of tasks on which {method} is preferred: by the paper's users on "
        "photos, and by this study's judges on its own tasks (a tie is half a win, so that two "
        "failures are a tie; 50 of 100 is no preference). A judge's preference is not people's: "
        "the columns stand side by side, they do not test each other."
    )
    tables = []
    for letter, rows in PAPER.items():
        lines = [
            Line(
                label,
                (
                    Cell("", {"mean": users and users / 100}),
                    *(Cell(f"method.preferences.{name}.{key}", found[name][key]) for key in JUDGED),
                ),
            )
            for name, (label, users) in rows.items()
            if name in found
        ]
        tables.append(Table(letter, titles[letter], note, (people, *judged), {"": lines}))
    return tables


def _group(results: dict[str, Any], group: str, letter: str) -> Table:
    """A group of `ablations`: differences are to its first row."""
    rows = results["ablations"][group]
    keys = {"regions": REGIONS, "learners": LEARNED, "amortised": LEARNED}.get(group, PLAIN)
    names = list(rows)
    every = [*keys, *(key for key in next(iter(rows.values())) if key not in keys)]
    columns = [Column(ABLATED[key], "") for key in every]
    lines = [
        Line(
            name,
            tuple(
                Cell(f"ablations.{group}.{name}.{key}", row[key], row[key].get("paired") or {})
                for key in every
            ),
        )
        for name, row in rows.items()
    ]
    return Table(
        letter=letter,
        title=TITLES.get(group, group.capitalize()),
        note=f"Δ is the paired difference to {names[0]}; * marks p below 0.05, by Holm over this "
        "table.",
        columns=tuple(columns[: len(keys)]),
        more=tuple(columns[len(keys) :]),
        blocks={"": lines},
    )


def _categories(results: dict[str, Any], *, references: Sequence[str]) -> Table:
    """Table F: the headline categories, then those that are reported apart."""
    sizes, found = results["meta"]["tasks"], results["categories"]
    order = sorted(found, key=lambda name: (name in APART, name))
    places = [
        (name, key)
        for name in order
        for key in CATEGORY
        if any(_has(row[key]) for row in found[name].values())
    ]
    columns = tuple(
        Column(BY_KEY[key], f"{name} ({sizes[name]})", category=name) for name, key in places
    )

    def lines(names: Iterable[str]) -> list[Line]:
        return [
            Line(
                method,
                tuple(
                    Cell(f"categories.{name}.{method}.{key}", found[name][method][key])
                    for name, key in places
                ),
            )
            for method in names
        ]

    variants = results["variants"]
    return Table(
        letter="F",
        title="By category",
        note="remove and add are no part of the headline: anchors avoid empty ground, so that "
        "add has no true region, and its boxes are judged where they were chosen.",
        columns=columns,
        blocks={
            "Variants": lines(name for name in variants if name not in references),
            "With the truth or the whole table in hand": lines(
                [*(name for name in variants if name in references), *results["ceilings"]]
            ),
        },
    )


def _has(one: Mapping[str, Any]) -> bool:
    return one["mean"] is not None
