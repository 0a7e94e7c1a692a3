"""results.json -> the words around the tables: reports/README.md and tables.md, for a code host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from eval.metrics.registry import BY_KEY
from eval.report.claims import claims
from eval.report.study_tables import table_caption
from eval.report.tables import Table, format_value, markdown
from eval.study.diagnosis import diagnosis_page
from eval.study.results import WORTH

BUDGET = 100_000  # UNet evaluations of a default study


def tables_page(tables: Sequence[Table], results: dict[str, Any]) -> str:
    """tables.md: every table under its letter."""
    lines = [
        "# Tables",
        "",
        f"{table_caption(results)} The same in LaTeX: [tables.tex](tables.tex); unscaled, with "
        "every metric and test: [tables.csv](tables.csv), whose `key` is the cell's place in "
        "[results.json](results.json). `lr-edit trace ROW METRIC` (GROUP/ROW for C, D, E and from "
        "G on) says where a number comes from.",
        "",
    ]
    for table in tables:
        lines += [f"## {table.heading}", "", table.note, "", markdown(table)]
        if table is tables[0]:
            lines += [_psnr(results), ""]
    return "\n".join(lines)


def readme(tables: Sequence[Table], results: dict[str, Any]) -> str:
    """The page a code host shows for reports/."""
    named = results["meta"]["judges"].items()
    judges = ", ".join(f"{role} `{name}`" for role, name in named if name)
    method = results["method"]
    main, letters = tables[0], [table for table in tables if table.letter]
    return "\n".join(
        [
            "# Results",
            "",
            "Written by `lr-edit stage report`; edits to this page are lost. For programs: "
            "[results.json](results.json). Per image: [per_image.csv](per_image.csv). Networks and "
            "versions: [provenance.json](provenance.json). Every edit, with filters: `index.html`.",
            "",
            "## What it says",
            "",
            *claims(results),
            "",
            f"## {main.title}",
            "",
            main.note,
            "",
            markdown(main),
            f"Judges: {judges}.{_shared(results)}",
            "",
            "## Tables",
            "",
            *(f"- {table.heading}: [tables.md](tables.md#{_anchor(table)})" for table in letters),
            "",
            "![Score against candidates inpainted](cost.png)",
            "",
            "## What this study can resolve",
            "",
            _resolution(results),
            *diagnosis_page(
                method["causes"],
                method=method["name"],
                tasks=results["meta"]["tasks"]["headline"],
            ),
            "## Learning",
            "",
            *_learning(results),
            "![Expected loss against step](training_curves.png)",
            "",
            *_across(results),
            "## Examples",
            "",
            "![Source, chosen box and edit of every variant](contact_sheet.png)",
            "",
        ]
    )


def _anchor(table: Table) -> str:
    """What a code host calls a heading."""
    kept = "".join(c for c in table.heading.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def _shared(results: dict[str, Any]) -> str:
    """A judge that is part of the method as well is said to be."""
    shared = results["meta"]["shared_with_method"]
    names = " and ".join(shared)
    return f" Of these, {names} is a network that the method uses as well." if shared else ""


def _resolution(results: dict[str, Any]) -> str:
    """The smallest differences that this many tasks find, and how many others would take."""
    meta = results["meta"]
    baseline, n = meta["baseline"], meta["tasks"]["headline"]
    rows = []
    for name, found in results["resolution"].items():
        cells = [
            cell
            for key in WORTH
            for cell in (
                (f"{100 * found[key]['detectable']:.1f}", str(found[key]["needed"]))
                if key in found
                else ("–", "–")
            )
        ]
        rows.append("| " + " | ".join([name, *cells]) + " |")
    worth = [f"{100 * value:.0f} points" for value in WORTH.values()]
    titles = [BY_KEY[key].title for key in WORTH]
    head = " | ".join(
        cell
        for title, points in zip(titles, worth, strict=True)
        for cell in (f"{title}: least difference", f"tasks for {points}")
    )
    return "\n".join(
        [
            f"The smallest paired difference to {baseline}, in points, that a two-sided test at 5% "
            f"finds with 80% power over these {n} tasks, from the spread seen, and how many tasks "
            f"would find {worth[0]} of {titles[0]} or {worth[1]} of {titles[1]}. "
            f"What is smaller than these may be there and stay unseen. {_number_of_tasks(results)}",
            "",
            f"| Method | {head} |",
            "| --- |" + " ---: |" * (2 * len(WORTH)),
            *rows,
            "",
        ]
    )


def _number_of_tasks(results: dict[str, Any]) -> str:
    """How the number of tasks follows from what is worth seeing, and from the budget."""
    meta, method = results["meta"], results["method"]["name"]
    n, found = meta["tasks"]["headline"], results["resolution"].get(method, {})
    needed = {
        f"{100 * worth:.0f} points of {BY_KEY[key].title}": found[key]["needed"]
        for key, worth in WORTH.items()
        if key in found
    }
    enough = [f"{name} ({count} would do)" for name, count in needed.items() if count <= n]
    short = [f"{name} ({count} would)" for name, count in needed.items() if count > n]
    parts = [
        f"find {' and '.join(enough)}" if enough else "",
        f"do not find {' and '.join(short)}" if short else "",
    ]
    said = " but ".join(part for part in parts if part) or "are what the budget pays for"
    return (
        f"For `{method}`, {n} tasks {said}. The split's {meta['tasks']['all']} tasks cost "
        f"{meta['nfe']:,} UNet evaluations; a study allows itself {BUDGET:,}."
    )


def _psnr(results: dict[str, Any]) -> str:
    """Perfect backgrounds have no finite PSNR: how many, and the number that keeps them."""
    total, measure = results["meta"]["tasks"]["headline"], BY_KEY["background_psnr"]
    rows = [
        f"| {name} | {one['infinite']} of {total} | {format_value(_of_mean_mse(one), measure)} |"
        for name, one in results["psnr"].items()
    ]
    return "\n".join(
        [
            "PSNR in the table is a mean over images whose background changed at all. With the "
            "perfect ones kept:",
            "",
            "| Method | perfect backgrounds | PSNR of the mean MSE ↑ |",
            "| --- | ---: | ---: |",
            *rows,
            "",
        ]
    )


def _of_mean_mse(one: dict[str, Any]) -> float | None:
    """inf where nothing changed in any background."""
    return math.inf if one["of_mean_mse"] is None and one["infinite"] else one["of_mean_mse"]


def _learning(results: dict[str, Any]) -> list[str]:
    lines = []
    for name, one in results["learning"].items():
        closed, scored = (_percent(one[key]) for key in ("gap_closed", "gap_closed_z"))
        lines.append(
            f"`{name}` ({one['learner']}): the expected loss under π fell on "
            f"{100 * one['fell']:.0f}% of {one['tasks']} tasks, and {closed} of the gap between "
            f"its start and the table's floor was closed ({scored} on z-scored rows)."
        )
        lines.append("")
    return lines


def _across(results: dict[str, Any]) -> list[str]:
    """The figure of the group `amortised`, where there is one."""
    there = results["ablations"].get("amortised")
    return ["Across images: ![What it reaches on unseen tasks](amortised.png)", ""] if there else []


def _percent(cell: dict[str, Any]) -> str:
    if cell["mean"] is None:
        return "an unknown share"
    interval = f" [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]" if cell["low"] else ""
    return f"{100 * cell['mean']:.1f}%{interval}"
