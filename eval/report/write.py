"""report: every variant's scores, curves and edits -> reports/, to be read without running it.

results.json is for programs; tables.{md,tex,csv}, README.md, index.html and the pictures are for
people; per_image.csv holds one value a variant, task and metric, averaged over seeds
(artifacts/scores holds every seed); provenance.json names the networks and versions behind them.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from eval.metrics.registry import describe_world
from eval.report import latex, markdown
from eval.report.amortised import GROUP, amortised_figure
from eval.report.contact_sheet import contact_sheet, example_tasks
from eval.report.cost_curve import cost_figure
from eval.report.examples import sheet_rows
from eval.report.gallery import write_gallery
from eval.report.learning_curves import training_curves
from eval.report.method import describe_method
from eval.report.study_tables import study_tables
from eval.report.tables import long_csv
from eval.report.versions import provenance
from eval.study.ablations import (
    ablation_results,
    ablation_scores,
)
from eval.study.ceilings import ceiling_scores
from eval.study.evaluate import read_judgements, summarise
from eval.study.learning import TrainingRecord, learning_results, read_training
from eval.study.results import build_results
from eval.study.scores import Scores, read_scores, rows, write_rows
from lr_edit.config import Config
from lr_edit.types import EditTask
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import (
    atomic_write,
    read_banks,
    read_json,
    study_tasks,
    write_json,
)

DIGITS = 5  # of per_image.csv, which is kept in git


def write_report(root: Path, config: Config) -> None:
    """Fill reports/ from artifacts/ alone."""
    out, study = reports_folder(root), config.study
    tasks = study_tasks(root)
    full = [read_scores(root / "artifacts/scores" / f"{name}.csv") for name in config.variants]
    bounds = _ceilings(root, config, tasks)
    trained = (read_training(root, name) for name in config.variants)
    trainings: list[TrainingRecord] = [one for one in trained if one]
    ablated = ablation_scores(root, config, tasks=tasks)
    results = build_results(
        config,
        full,
        summaries={n: read_json(root / "artifacts/scores" / f"{n}.json") for n in config.variants},
        ceilings={
            one.variant: summarise(one, resamples=study.resamples, seed=study.seed)
            for one in bounds
        },
        learning=learning_results(trainings, resamples=study.resamples, seed=study.seed),
        ablations=ablation_results(ablated, resamples=study.resamples, seed=study.seed),
        method=describe_method(root, config, tasks=tasks, others=list(chain(*ablated.values()))),
        nfe=sum(
            bank.nfe for name in config.proposals for bank in read_banks(root, name, tasks=tasks)
        ),
    )
    write_json(out / "results.json", results)
    results = in_order(read_json(out / "results.json"), config)
    write_json(out / "provenance.json", provenance(root, config.models))
    averaged = [one.averaged() for one in (*full, *bounds)]
    lines = (line for one in averaged for line in rows(one, seeds=["mean"], digits=DIGITS))
    write_rows(out / "per_image.csv", lines)
    for name, text in pages(config, results).items():
        with atomic_write(out / name) as part:
            part.write_text(text, encoding="utf-8")
    note = describe_world(world=config.models.world, profile=config.profile)
    cost_figure(out / "cost.png", results["ablations"], caption=note)
    (out / "amortised.png").unlink(missing_ok=True)  # not in dvc.yaml: not every study has it
    if rows_across := config.ablations.get(GROUP):
        amortised_figure(
            out / "amortised.png", rows_across, results=results["ablations"][GROUP], caption=note
        )
    training_curves(
        out / "training_curves.png", trainings, learning=results["learning"], caption=note
    )
    contact_sheet(
        out / "contact_sheet.png",
        sheet_rows(root, config, tasks=example_tasks(tasks), variants=list(config.variants)),
        variants=list(config.variants),
        caption=note,
    )
    tables = study_tables(results, references=_references(config))
    write_gallery(root, config, tasks=tasks, results=results, tables=tables)


def _ceilings(root: Path, config: Config, tasks: list[EditTask]) -> list[Scores]:
    """Of the set that nets and argmin choose from; none where no variant does."""
    sets = [row.proposals for row in config.variants.values() if row.choose in ("net", "table")]
    if not sets:
        return []
    banks = read_banks(root, sets[0], tasks=tasks)
    return ceiling_scores(tasks, banks=banks, judged=read_judgements(root, sets[0], tasks=tasks))


def _references(config: Config) -> list[str]:
    """Variants that are told where the object is."""
    return [
        name
        for name, row in config.variants.items()
        if config.proposal_set(row.proposals).anchors == "truth"
    ]


def in_order(results: dict[str, Any], config: Config) -> dict[str, Any]:
    """What results.json holds, its rows in the order of params.yaml again."""
    by_variant = {
        section: {name: results[section][name] for name in
                  (*config.variants, *sorted(results[section])) if name in results[section]}
        for section in ("variants", "psnr", "resolution", "learning")
    }  # fmt: skip
    ablations = {
        group: {name: results["ablations"][group][name] for name in rows}
        for group, rows in config.ablations.items()
    }
    return {**results, **by_variant, "ablations": ablations}


def pages(config: Config, results: dict[str, Any]) -> dict[str, str]:
    """File -> text, for what results.json alone makes; `results` are as `in_order` gives them."""
    tables = study_tables(results, references=_references(config))
    return {
        "tables.md": markdown.tables_page(tables, results),
        "tables.tex": latex.document(tables),
        "tables.csv": long_csv(tables),
        "README.md": markdown.readme(tables, results),
    }
