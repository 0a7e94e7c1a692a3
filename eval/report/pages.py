"""Committed data -> pages: README's table, reports/*.md, .tex, .csv, .html and figures, in seconds.

Nothing of artifacts/ is read and no network is loaded: whoever has a clone can say a thing in other
words. In: results.json, training.json, edits.jsonl and gallery/, or, of a study with a race,
race.csv; and the study's params.yaml, for the order and the titles of its rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.metrics.registry import describe_world, is_headline
from eval.report.amortised import GROUP, draw_amortised
from eval.report.claims import Claim, read_claims
from eval.report.contact_sheet import contact_sheet, example_tasks, show_worst, showcase
from eval.report.cost_curve import draw_cost
from eval.report.diagnosis_page import draw_sizes
from eval.report.edits import Row, read_rows
from eval.report.figures import pdf_of
from eval.report.gallery import gallery_page
from eval.report.learning_curves import draw_training
from eval.report.race_page import write_race_pages
from eval.report.readme import insert_results, write_results_page, write_tables_page
from eval.report.render import render_latex
from eval.report.study_tables import study_tables
from eval.report.tables import write_csv
from eval.study.strata import GROUP as GROUP_OF_STRATA
from eval.study.strata import METRICS
from lr_edit.config import Config, load_config
from lr_edit.errors import Notice, UserError, reading
from lr_edit.workspace.paths import checkout, reports_folder
from lr_edit.workspace.storage import atomic_write, read_json

SHOWCASE = 6  # edits at the top of README
CURE = "`git checkout` it, or run `dvc repro report`"
HELD_OUT = "test"  # the study of the split that no choice was made on


def write_all_pages(top: Path) -> list[Path]:
    """The pages of a checkout's own study and of every further one that has results.

    Args:
        top: The checkout.

    Returns:
        The files that were written.

    Raises:
        UserError: Where no study has results, or a file of the checkout's own is missing or broken;
            another's is a notice.
    """
    folders = [top, *sorted(path.parent for path in top.glob("studies/*/params.yaml"))]
    done = []
    for root in filter(has_results, folders):
        try:
            done += write_pages(root, load_config(root / "params.yaml"))
        except UserError as error:
            if root == top:
                raise
            warnings.warn(f"{root.name} is left out: {error}", Notice, stacklevel=2)
    if not done:
        raise UserError(f"{top / 'reports'} holds no results.json: run the study (make repro)")
    return done


def has_results(root: Path) -> bool:
    """Whether a study's reports hold the data of pages."""
    return any((reports_folder(root) / name).is_file() for name in ("results.json", "race.csv"))


def write_pages(root: Path, config: Config) -> list[Path]:
    """One study's pages.

    Args:
        root: The study's folder.
        config: Its parameters.

    Returns:
        The files that were written, below its reports; README.md too, of a checkout's own study.

    Raises:
        UserError: Where data is missing, broken, or another study's.
    """
    out = reports_folder(root)
    written: list[Path] = []
    if (out / "race.csv").is_file():
        written += [out / name for name in write_race_pages(out, config)]
    if (out / "results.json").is_file():
        written += _write_study(root, out, config)
    return written


def text_pages(results: dict[str, Any], config: Config, *, rows: Sequence[Row]) -> dict[str, str]:
    """File -> text; `results` are as `in_order` gives them."""
    tables = study_tables(results, config)
    return {
        "index.html": gallery_page(results, config, rows=rows, tables=tables),
        "tables.md": write_tables_page(tables, results, config=config),
        "tables.tex": render_latex(tables),
        "tables.csv": write_csv(tables),
        "README.md": write_results_page(tables, results, config=config),
    }


def in_order(results: dict[str, Any], config: Config) -> dict[str, Any]:
    """What results.json holds, its rows in the order of params.yaml again."""
    by_variant = {
        section: {name: results[section][name] for name in
                  (*config.variants, *sorted(results[section])) if name in results[section]}
        for section in ("variants", "psnr", "resolution", "learning")
    }  # fmt: skip
    ablations = {
        group: {name: known[name] for name in rows if name in known}
        for group, rows in config.ablations.items()
        if (known := results["ablations"].get(group, {}))
    }
    whole = {**results, **by_variant, "ablations": ablations}
    if "strata" in results:
        rows = config.ablations.get(GROUP_OF_STRATA, {})
        whole["strata"] = {
            metric: {name: found[name] for name in rows if name in found}
            for metric in METRICS
            if (found := results["strata"].get(metric))
        }
        changes = results["changes"]
        whole["changes"] = {name: changes[name] for name in config.variants if name in changes}
    return whole


def _write_study(root: Path, out: Path, config: Config) -> list[Path]:
    found = read_json(out / "results.json")
    rows = read_rows(out, variants=list(config.variants))
    with reading(out / "results.json", cure=CURE):
        results = in_order(found, config)
        texts = text_pages(results, config, rows=rows)
    for name, text in texts.items():
        with atomic_write(out / name) as part:
            part.write_text(text, encoding="utf-8")
    with reading(out / "results.json", cure=CURE):
        figures = _draw_figures(out, config, results, rows)
    written = [out / name for name in (*texts, *figures)]
    front = checkout(root) / "README.md"
    if root == checkout(root) and front.is_file():
        page = insert_results(
            front.read_text(encoding="utf-8"), results, config=config, held_out=read_held_out(root)
        )
        with atomic_write(front) as part:
            part.write_text(page, encoding="utf-8")
        written.append(front)
    return written


def read_held_out(top: Path) -> list[Claim]:
    """What leads of the study of the split `test`, on which nothing was chosen."""
    root = top / "studies" / HELD_OUT
    file = reports_folder(root) / "results.json"
    if not file.is_file():
        return []
    config, results = load_config(root / "params.yaml"), read_json(file)
    with reading(file, cure=CURE):
        leads = [one for one in read_claims(in_order(results, config), config) if one.leads]
        tasks = results["meta"]["tasks"]["headline"]
    words = f"On {tasks} other tasks, on which nothing was chosen (split {config.study.split}): "
    return [replace(one, finding=words + one.finding) for one in leads]


def _draw_figures(out: Path, config: Config, results: dict[str, Any], rows: list[Row]) -> list[str]:
    """What can be drawn from what is kept; the names of the files."""
    note = describe_world(world=config.models.world, profile=config.profile)
    titles = {name: config.title_of(name) for name in config.variants}
    method = results["method"]["name"]
    headline = [row for row in rows if is_headline(row.task.category)]
    draw_cost(out / "cost.png", results["ablations"], config=config, note=note)
    draw_sizes(out / "sizes.png", headline, variant=method, title=titles[method], note=note)
    by_id = {row.task.id: row for row in rows}
    examples = [by_id[task.id] for task in example_tasks([row.task for row in rows])]
    contact_sheet(out / "contact_sheet.png", examples, variants=titles, note=note)
    worst = [(by_id[one["task"]], one["cause"]) for one in results["method"]["worst"]]
    show_worst(out / "worst.png", worst, variants={method: titles[method]}, note=note)
    good = [row for row in headline if row.edits[method].success]
    shown = [row.task.id for row in good]
    picked = [shown[at * len(shown) // SHOWCASE] for at in range(SHOWCASE) if shown]
    showcase(out / "showcase.png", [by_id[name] for name in dict.fromkeys(picked)], variant=method)
    drawn = ["cost.png", "sizes.png", "contact_sheet.png", "worst.png", "showcase.png"]
    for left in (out / "amortised.png", pdf_of(out / "amortised.png")):
        left.unlink(missing_ok=True)  # not every study has it
    if nets := results["ablations"].get(GROUP):
        draw_amortised(out / "amortised.png", config, results=nets, note=note)
        drawn.append("amortised.png")
    if (out / "training.json").is_file():
        curves = read_json(out / "training.json")
        with reading(out / "training.json", cure=CURE):
            draw_training(
                out / "training_curves.png",
                {name: curves[name] for name in config.variants if name in curves},
                learning=results["learning"], titles=titles, note=note,
            )  # fmt: skip
        drawn.append("training_curves.png")
    return drawn
