"""report: artifacts/ -> the data of reports/, and from that its pages.

results.json is for programs; per_image.csv holds one value per variant, task and metric, averaged
over seeds (artifacts/scores holds every seed); provenance.json names the networks and versions
behind them; training.json, edits.jsonl, gallery/ and anatomy.png are what figures and the gallery
are made of. `pages.py` makes everything else from these.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from eval.report.edits import collect_rows
from eval.report.edits import write_rows as write_edits
from eval.report.method import describe_method
from eval.report.pages import write_pages
from eval.report.versions import provenance
from eval.study.ablations import ablation_results, ablation_scores
from eval.study.agreement import Edit, judge_agreement, known_verdicts
from eval.study.ceilings import ceiling_scores
from eval.study.changes import change_results
from eval.study.evaluate import count_failed, read_judgements, summarise
from eval.study.learning import TrainingRecord, learning_results, read_training, training_curves
from eval.study.results import build_results
from eval.study.scores import Scores, read_scores, rows, write_rows
from eval.study.strata import GROUP, METRICS, compare_by_stratum
from lr_edit.config import Config
from lr_edit.errors import UserError, shorten
from lr_edit.types import Bank, EditTask
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import read_banks, read_json, study_tasks, write_json

FLAT = ("success", "iou", "score_s", "loss", "nfe")  # of metrics.json
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
    banks = {name: read_banks(root, name, tasks=tasks) for name in config.proposals}
    results = build_results(
        config,
        full,
        summaries={
            n: _read_summary(root / "artifacts/scores" / f"{n}.json") for n in config.variants
        },
        ceilings={
            one.variant: summarise(one, resamples=study.resamples, seed=study.seed)
            for one in bounds
        },
        learning=learning_results(trainings, resamples=study.resamples, seed=study.seed),
        ablations=ablation_results(ablated, resamples=study.resamples, seed=study.seed),
        method=describe_method(root, config, tasks=tasks, others=list(chain(*ablated.values()))),
        nfe=sum(bank.nfe for bank in chain(*banks.values())),
        failed={name: count_failed(each) for name, each in banks.items()},
        agreement=judge_agreement(find_verdicts(root, config, tasks=tasks, banks=banks)),
    )
    if GROUP in ablated:
        how: dict[str, Any] = {"resamples": study.resamples, "seed": study.seed}
        results |= {
            "strata": {
                metric: compare_by_stratum(ablated[GROUP], tasks, metric=metric, **how)
                for metric in METRICS
            },
            "changes": change_results(root, list(config.variants), tasks=tasks, **how),
        }
    write_json(out / "results.json", results)
    write_json(out / "metrics.json", flat_metrics(results))
    write_json(out / "provenance.json", provenance(root, config.models))
    write_json(out / "training.json", training_curves(trainings))
    averaged = [one.averaged() for one in (*full, *bounds)]
    lines = (line for one in averaged for line in rows(one, seeds=["mean"], digits=DIGITS))
    write_rows(out / "per_image.csv", lines)
    write_edits(out, collect_rows(root, config, tasks=tasks, variants=list(config.variants)))
    write_pages(root, config)


def _read_summary(path: Path) -> dict[str, Any]:
    """What evaluate says of a row. UserError for anything else."""
    found = read_json(path)
    if not isinstance(found, dict) or not {"metrics", "categories", "seeds"} <= found.keys():
        raise UserError(f"{path} is no summary of a row: delete it and run `dvc repro evaluate`")
    if found.get("variant") != path.stem:
        raise UserError(f"{path} is another row's ({shorten(found.get('variant'))}): run its stage "
                        "evaluate again")  # fmt: skip
    return found


def find_verdicts(
    root: Path, config: Config, *, tasks: list[EditTask], banks: dict[str, list[Bank]]
) -> dict[Edit, float]:
    """What the judge says of every candidate of the study that a task and a box name: an outline's,
    an editor's of the whole picture, or one of other noise, words or steps than the study's own is
    another picture in the same box."""
    usual: dict[str, Any] = {
        "prompt": "scene", "template": "{}", "noise": "common", "noise_seed": 0,
        "inpaint": config.inpaint,
    }  # fmt: skip
    found: dict[Edit, float] = {}
    for name, each in banks.items():
        how = config.proposal_set(name)
        own = any(getattr(how, key) != value for key, value in usual.items())
        if own or how.boxes in ("segmented", "whole"):
            continue
        judged = read_judgements(root, name, tasks=tasks, banks=each)
        found |= known_verdicts([task.id for task in tasks], banks=each, judged=judged)
    return found


def flat_metrics(results: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Row -> metric -> mean, as `dvc metrics` and `dvc exp show` read it: what a screen holds."""
    rows = results["ablations"].get("default", {}) | results["variants"] | results["ceilings"]
    return {
        name: {key: row[key]["mean"] for key in FLAT if row[key]["mean"] is not None}
        for name, row in rows.items()
    }


def _ceilings(root: Path, config: Config, tasks: list[EditTask]) -> list[Scores]:
    """Of the set that nets and argmin choose from; none where no variant does."""
    sets = [row.proposals for row in config.variants.values() if row.choose in ("net", "table")]
    if not sets:
        return []
    banks = read_banks(root, sets[0], tasks=tasks)
    judged = read_judgements(root, sets[0], tasks=tasks, banks=banks)
    return ceiling_scores(tasks, banks=banks, judged=judged)
