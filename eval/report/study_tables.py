"""results.json -> the tables of a study, by letter.

Variants, and their tests against the baseline
A and on: beside the paper's Table 2 (random boxes) and Table 1 (other editors), regions, losses,
learners and cost, by category, then the remaining groups of `ablations` in the order of
params.yaml, and where rows differ. Letters follow each other, whatever a study leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, product
from string import ascii_uppercase
from typing import Any

from eval.metrics.registry import ABLATED, APART, BY_KEY, MEASURES, Measure
from eval.report.baselines import baseline_tables
from eval.report.captions import table_caption
from eval.report.tables import Cell, Column, Line, Table
from eval.study.preferences import JUDGED, PAPER
from lr_edit.config import Config

BEFORE_CATEGORIES = ("regions", "losses", "learners")
# What is printed; the CSV holds every metric.
MAIN = (
    "success", "iou", "score_s", "candidates", "structure_distance", "background_psnr", "lpips",
    "background_mse", "background_ssim", "clip_whole", "clip_edited",
)  # fmt: skip
THINGS = ("success_1", "success_2", "success_3")
REGIONS = ("success", *THINGS, "placed", "gone", "kept", "in_place", "iou", "hit", "area_ratio",
           "score_s", "candidates")  # fmt: skip
LEARNED = ("expected_loss", "success", "iou", "score_s", "loss", "candidates", "nfe")
PLAIN = ("success", *THINGS, "iou", "score_s", "loss", "candidates", "nfe")
TESTED = ("success", "iou", "score_s")
CATEGORY = ("success", "iou", "score_s")
VARIANTS, INFORMED = "Variants", "With the truth or the whole table in hand"  # blocks
NUMBER = Measure("", "", "", None, "whole")
STATISTICS = {  # of a paired comparison: key -> title, power, decimals
    "difference": ("Δ", 2, 2), "p": ("Wilcoxon p", 0, 3), "holm_p": ("Holm p", 0, 3),
    "win_rate": ("Wins", 2, 1), "sign_p": ("Sign p", 0, 3), "effect": ("Effect d", 0, 2),
}  # fmt: skip


def study_tables(results: dict[str, Any], config: Config) -> list[Table]:
    """Every table that the results fill, in the order of the letters; titles from `config`."""
    groups = results["ablations"]
    before = [name for name in BEFORE_CATEGORIES if name in groups]
    after = [name for name in groups if name not in BEFORE_CATEGORIES]
    tables = [
        *_preferences(results, config),
        *(_group(results, config, name) for name in before),
        _categories(results, config),
        *(_group(results, config, name) for name in after),
        *baseline_tables(results, config),
    ]
    lettered = zip(_letters(), filter(_is_filled, tables), strict=False)
    return [
        *filter(_is_filled, (main_table(results, config), _tests(results, config))),
        *(replace(table, letter=letter) for letter, table in lettered),
    ]


def _is_filled(table: Table) -> bool:
    return any(table.blocks.values())


def _letters() -> Iterator[str]:
    """A to Z, then AA and on."""
    for length in count(1):
        yield from map("".join, product(ascii_uppercase, repeat=length))


def main_table(results: dict[str, Any], config: Config) -> Table:
    """The variants, and apart from them the rows that know the answer."""
    meta = results["meta"]
    columns = [Column(measure, measure.group) for measure in MEASURES]
    printed = [c for key in MAIN for c in columns if c.measure.key == key]
    more = [column for column in columns if column not in printed]
    return Table(
        letter="",
        title="Variants",
        note=f"{table_caption(results)} Δ is the paired difference to "
        f"{config.title_of(meta['baseline'])}; * marks Holm-adjusted p below 0.05.",
        columns=tuple(printed),
        more=tuple(more),
        blocks=_blocks(results, config, order=[*printed, *more]),
    )


def split_references(config: Config, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Variants that find the place, and those that are told where the object is."""
    told = {
        name
        for name, row in config.variants.items()
        if config.proposal_set(row.proposals).anchors == "truth"
    }
    names = list(names)
    return [n for n in names if n not in told], [n for n in names if n in told]


def _blocks(
    results: dict[str, Any], config: Config, *, order: Sequence[Column]
) -> dict[str, list[Line]]:
    keys = [column.measure.key for column in order]

    def lines(section: str, names: Iterable[str]) -> list[Line]:
        return [
            Line(
                name,
                tuple(_of_variant(results, section, name, key) for key in keys),
                title=config.title_of(name) + " (baseline)" * (name == results["meta"]["baseline"]),
            )
            for name in names
        ]

    find, told = split_references(config, results["variants"])
    return {
        VARIANTS: lines("variants", find),
        INFORMED: [*lines("variants", told), *lines("ceilings", results["ceilings"])],
    }


def _of_variant(results: dict[str, Any], block: str, name: str, key: str) -> Cell:
    """A perfect PSNR is inf where every background is perfect: its mean leaves those out."""
    one = results[block][name][key]
    if key == "background_psnr" and (count := results["psnr"][name]["infinite"]):
        one = {**one, "infinite": count}
        one |= {"mean": float("inf")} if one["mean"] is None else {}
    return Cell(f"{block}.{name}.{key}", one, _against(results, name, key))


def _against(results: dict[str, Any], name: str, key: str) -> dict[str, Any]:
    """The paired difference to the baseline and its tests; empty for the baseline and ceilings."""
    baseline = results["meta"]["baseline"]
    found = (results[section][baseline].get(name, {}).get(key, {}) for section in
             ("paired", "tests"))  # fmt: skip
    return {part: value for one in found for part, value in one.items()}


def _tests(results: dict[str, Any], config: Config) -> Table:
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
        title=f"Tests against {config.title_of(baseline)}",
        note="Paired over tasks: the mean difference with its 95% interval, Wilcoxon's signed-rank "
        "test, Holm's adjustment over every test of the table above, the share of tasks won (a tie "
        "is half a win) with the sign test, and the mean difference over its standard deviation.",
        columns=columns,
        blocks={
            BY_KEY[key].title: [
                Line(
                    name,
                    tuple(_statistic(results, name, key, part) for part in STATISTICS),
                    title=config.title_of(name),
                )
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


def _preferences(results: dict[str, Any], config: Config) -> list[Table]:
    """People's preferences beside a judge's, as in the paper's two tables."""
    found, method = results["method"]["preferences"], results["method"]["name"]
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
        f"Share of tasks on which {config.title_of(method)} ({method}) is preferred: by the "
        "paper's users on photos, and by this study's judges on its own tasks (a tie is half a "
        "win, so that two failures are a tie; 50 of 100 is no preference). A judge's preference is "
        "not people's: the columns stand side by side, they do not test each other."
    )
    tables = []
    for title, rows in PAPER.items():
        lines = [
            Line(
                name,
                (
                    Cell("", {"mean": users and users / 100}),
                    *(Cell(f"method.preferences.{name}.{key}", found[name][key]) for key in JUDGED),
                ),
                title=label,
            )
            for name, (label, users) in rows.items()
            if name in found
        ]
        tables.append(Table("", title, note, (people, *judged), {"": lines}))
    return tables


def _group(results: dict[str, Any], config: Config, group: str) -> Table:
    """A group of `ablations`: differences are to its first row."""
    rows = results["ablations"][group]
    keys = {"regions": REGIONS, "learners": LEARNED, "amortised": LEARNED}.get(group, PLAIN)
    every = [*keys, *(key for key in next(iter(rows.values())) if key not in keys)]
    columns = [Column(ABLATED[key], "") for key in every]
    lines = [
        Line(
            name,
            tuple(
                Cell(f"ablations.{group}.{name}.{key}", row[key], row[key].get("paired") or {})
                for key in every
            ),
            title=config.title_of(name, group=group),
        )
        for name, row in rows.items()
    ]
    return Table(
        letter="",
        title=config.titles.get("groups", {}).get(group, group.capitalize()),
        note="Δ is the paired difference to the first row; * marks p below 0.05, by Holm over this "
        "table.",
        columns=tuple(columns[: len(keys)]),
        more=tuple(columns[len(keys) :]),
        blocks={"": lines},
    )


def _categories(results: dict[str, Any], config: Config) -> Table:
    """The headline categories, then those that are reported apart."""
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
                title=config.title_of(method),
            )
            for method in names
        ]

    find, told = split_references(config, results["variants"])
    return Table(
        letter="",
        title="By category",
        note="remove and add are no part of the headline: anchors avoid empty ground, so that "
        "add has no true region, and its boxes are judged where they were chosen.",
        columns=columns,
        blocks={
            VARIANTS: lines(find),
            INFORMED: lines([*told, *results["ceilings"]]),
        },
    )


def _has(one: Mapping[str, Any]) -> bool:
    return one["mean"] is not None
