"""`lr-edit evaluate`: folders of edits on a data set, to tables."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eval.external.commands.judge import choose_judge, describe_verdicts, judge_options
from eval.external.commands.shared import (
    load_networks,
    say_unread,
    shared_options,
    show_table,
)
from lr_edit.cli.console import PATH, WORDS, as_words, say, show, track
from lr_edit.errors import UserError, suggest_name
from lr_edit.execution.environment import pin_environment

if TYPE_CHECKING:
    from eval.external.datasets import Dataset
    from eval.external.folder import Outcome, Request
    from eval.external.journal import Journal
    from eval.external.judges.judging import Verdicts

NAMED = 5  # tasks that are named where many are missing


@click.command()
@click.option("--dataset", "spec", required=True, help="KIND:PATH, as in pie-bench:data/PIE.")
@click.option("--edits", type=PATH, required=True, multiple=True,
              help="A folder of edited images; once for every editor.")  # fmt: skip
@click.option("--out", type=PATH, default=Path("evaluation"), show_default=True)
@click.option("--variant", "variants", type=WORDS, multiple=True,
              help="Its name in the tables, in the order of --edits [the folder's].")  # fmt: skip
@click.option("--seed", type=WORDS, default="0", show_default=True,
              help="The name of this run of the editor.")  # fmt: skip
@click.option("--against", type=WORDS,
              help="A variant in --out that every other is compared with.")  # fmt: skip
@click.option("--check", "check_only", is_flag=True,
              help="Say what is missing, extra or of another size; measure nothing.")  # fmt: skip
@click.option("--resize", is_flag=True, help="Resize edits to their sources; tables say so.")
@judge_options
@click.option("--page/--no-page", default=True, help="Write index.html, with every edit.")
@click.option("--drop-doubtful", is_flag=True, help="Leave out rows that are known to be wrong.")
@shared_options
@click.pass_context
def evaluate(
    context: click.Context, spec: str, *, edits: tuple[Path, ...], out: Path,
    variants: tuple[str, ...], seed: str, against: str | None, check_only: bool, resize: bool,
    drop_doubtful: bool, page: bool, **options: Any,
) -> None:  # fmt: skip
    """Measure folders of edits on a data set; a second run measures only what changed."""
    pin_environment()
    names = _name_variants(edits, variants, seed=seed)
    _check_out(out, spec, edits)
    from eval.external.datasets import open_dataset

    dataset = _without_doubt(open_dataset(spec), drop=drop_doubtful)
    from eval.external.check import check_folder
    from eval.external.datasets.contract import read_picture_size
    from eval.external.folder import Request, data_digests
    from eval.external.journal import Journal

    if check_only:
        _say_findings(
            {name: check_folder(dataset, folder, resize=resize)
             for name, folder in zip(names, edits, strict=True)},
            context=context, as_json=options["as_json"],
        )  # fmt: skip
        return
    metrics = _choose_metrics(dataset, options["metrics"])
    sizes = {read_picture_size(sample.image)[::-1] for sample in dataset.samples}
    metrics, networks = load_networks(
        context, metrics, sizes=sizes, options=options, published=dataset.networks
    )
    say_unread(networks, _texts(dataset))
    judge = choose_judge(options, kind=dataset.kind)
    requests = [
        Request(dataset, folder, name, metrics, options["protocol"], networks, seed=seed,
                jpeg_75=options["jpeg_75"], resize=resize, judge=judge)
        for name, folder in zip(names, edits, strict=True)
    ]  # fmt: skip
    journal, data = Journal(out), data_digests(dataset)
    known = dict.fromkeys((*names, *(key[0] for key in journal.rows)))
    if against is not None and against not in known:
        raise UserError(f"--against {against!r}: neither --edits nor {out} has such a variant"
                        f"{suggest_name(against, known)}")  # fmt: skip
    with journal.alone():
        outcomes, judged = _measure(requests, journal, data, page=page)
        summary = _write(
            requests,
            journal,
            data=data,
            against=against or (names[0] if names[1:] else None),
            outcomes=outcomes,
            judged=judged,
            page=page,
        )
    if options["as_json"]:
        click.echo(json.dumps(summary))
        return
    _show(summary, out, page=page)


def _measure(
    requests: Sequence[Request], journal: Journal, data: Mapping[str, str], *, page: bool
) -> tuple[dict[str, Outcome], dict[str, Verdicts]]:
    """Every folder in turn; what is open is said at once."""
    from eval.external.folder import evaluate_folder, judge_folder
    from eval.external.gallery import Gallery

    outcomes, judged, gallery = {}, {}, Gallery(journal.folder) if page else None
    for request in requests:
        found = evaluate_folder(request, journal, track=track, data=data, gallery=gallery)
        outcomes[request.variant] = found
        if request.judge:
            judged[request.variant] = judge_folder(
                request, journal, outcome=found, data=data, track=track
            )
        count, said = len(request.dataset.samples), found.matching.nearest
        if (own := judged.get(request.variant)) and own.missing:
            why, n = next(iter(own.missing)), sum(own.missing.values())
            say(f"{n} of the judge's {own.answers} answers could not be read, as: {why}")
        if found.matching.missing:
            first = "; ".join(
                f"{name!r}" + (f" (is {near!r} its edit?)" if (near := said(name)) else "")
                for name in found.matching.missing[:NAMED]
            )
            say(f"{len(found.matching.missing)} of {count} tasks have no edit, first {first}")
        if found.unusable:
            why = next(iter(found.unusable.values()))
            say(f"{len(found.unusable)} of {count} edits cannot be measured, first {why}")
        if found.matching.extra:
            first = found.matching.extra[0]
            say(f"{len(found.matching.extra)} pictures are the edit of no task, first {first!r}")
        if found.changed:
            say(
                f"{len(found.changed)} edits of {request.variant!r} are others than the table had, "
                f"and were measured anew, first {found.changed[0]!r}; --variant keeps both"
            )
        if found.same:
            say(f"{len(found.same)} edits are copies of their sources, first {found.same[0]!r}")
    return outcomes, judged


def _write(
    requests: Sequence[Request], journal: Journal, *, data: Mapping[str, str],
    against: str | None, outcomes: Mapping[str, Outcome], judged: Mapping[str, Verdicts],
    page: bool,
) -> dict[str, Any]:  # fmt: skip
    """All files of the folder, of all rows that are in it by now; returns the summary."""
    from eval.external.page import write_page
    from eval.external.summary import say_left_out, summarise
    from eval.external.tables import markdown, side_by_side
    from eval.report.render import render_latex
    from lr_edit.files import write_json, write_text

    request = requests[0]
    with journal.finished():
        summary = summarise(request, journal, data=data, against=against)
        summary["missing"] |= {name: list(one.missing) for name, one in outcomes.items()}
        summary["judge"] = {
            name: describe_verdicts(request.judge, one)
            for name, one in judged.items()
            if request.judge
        }
        write_json(journal.folder / "evaluation.json", summary)
        write_text(journal.folder / "table.md", markdown(summary))
        write_text(journal.folder / "table.tex", render_latex([side_by_side(summary)]))
    if page:
        write_page(requests, journal, data=data, outcomes=outcomes, summary=summary, track=track)
    for sentence in (*request.dataset.notes, *say_left_out(summary)):
        say(sentence)
    return summary


def _show(summary: Mapping[str, Any], out: Path, *, page: bool) -> None:
    from eval.external.tables import HEAD, caption, table

    show_table(HEAD, table(summary), title=caption(summary))
    written = "evaluation.json, table.md, table.tex"
    say(f"{out / 'per_image.csv'}, {written}{' and index.html' if page else ''} are written")


def _say_findings(
    found: Mapping[str, Any], *, context: click.Context, as_json: bool
) -> None:  # fmt: skip
    """What `--check` found; exit code 2 if anything is wrong."""
    if as_json:
        click.echo(json.dumps({name: one.as_dict() for name, one in found.items()}))
    else:
        for name, one in found.items():
            for line in one.lines:
                show(f"{name}: {line}" if len(found) > 1 else line)
    context.exit(0 if all(one.fine for one in found.values()) else 2)


def _check_out(out: Path, spec: str, edits: Sequence[Path]) -> None:
    """UserError for a folder whose files the next run would take for a data set's or for edits."""
    data = Path(spec.partition(":")[2] or spec)
    for name, folder in (("the data set", data), *(("--edits", one) for one in edits)):
        if folder.exists() and out.exists() and out.samefile(folder):
            raise UserError(f"--out {out} is {name}'s own place: choose another --out")


def _name_variants(edits: Sequence[Path], variants: Sequence[str], *, seed: str) -> list[str]:
    """One name a folder. UserError for names that are no text, or given twice."""
    if variants and len(variants) != len(edits):
        raise UserError(f"{len(variants)} --variant for {len(edits)} --edits: name each, or none")
    names = list(variants) or [as_words(folder.resolve().name) for folder in edits]
    for name in (*names, seed):
        if not name.strip() or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise UserError(f"{name[:80]!r} is no name: --variant and --seed are words in one line")
    if len(set(names)) < len(names):
        raise UserError(f"two --edits are called {names[0]!r}: name them with --variant")
    return names


def _without_doubt(dataset: Dataset, *, drop: bool) -> Dataset:
    """The data set, without its doubtful rows where that was asked for; how many are said."""
    from dataclasses import replace

    doubtful = [sample for sample in dataset.samples if sample.doubt]
    if not doubtful:
        return dataset
    words = f"{len(doubtful)} rows are doubtful ({doubtful[0].doubt})"
    if not drop:
        say(f"{words}: --drop-doubtful leaves them out")
        return dataset
    kept = tuple(sample for sample in dataset.samples if not sample.doubt)
    return replace(dataset, samples=kept, notes=(*dataset.notes, f"{words} and were left out"))


def _texts(dataset: Dataset) -> dict[str, str | None]:
    """Every text of a data set that a metric reads, by what it is called."""
    return {
        f"the {name} of task {task.id!r}": words
        for task in dataset.tasks
        for name, words in (("prompt", task.prompt), ("caption", task.caption or task.source))
    }


def _choose_metrics(dataset: Dataset, asked: str | None) -> tuple[str, ...]:
    """The metrics that were asked for, or all that some task of the data set allows."""
    from eval.external.pairs import lacks_everywhere
    from eval.metrics.suite import DEFAULT, select_metrics

    names = tuple(dict.fromkeys((*dataset.metrics, *DEFAULT)))
    names = names if asked is None else select_metrics(asked.split(","))
    return tuple(
        name for name in names if asked is not None or not lacks_everywhere(dataset.samples, name)
    )
