"""`lr-edit audit-judge`: judges on drawn edits that are known to be right or wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from eval.external.commands.judge import choose_judge, judge_options
from eval.external.commands.shared import load_networks, show_table
from lr_edit.cli.console import PATH, say, track
from lr_edit.errors import UserError
from lr_edit.execution.environment import pin_environment


@click.command("audit-judge")
@click.option("--tasks", type=click.IntRange(2, 500), default=25, show_default=True,
              help="Of every category.")  # fmt: skip
@click.option("--out", type=PATH, default=Path("audit"), show_default=True)
@click.option("--clip", help="NAME:TAG of open_clip, or local-dir:FOLDER; default: the profile's.")
@judge_options
@click.option("--json", "as_json", is_flag=True, help="Print the result for a program.")
@click.pass_context
def audit_judge(
    context: click.Context, tasks: int, *, out: Path, clip: str | None, as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Score judges on drawn edits that are right or wrong: 1 tells them apart, 0.5 does not."""
    pin_environment()
    from eval.external import audit
    from lr_edit.files import read_json, write_json

    place = out / "audit.json"
    found: dict[str, Any] = read_json(place) if place.exists() else {}
    if not audit.is_audit(found):
        raise UserError(f"{place} is no audit of judges: choose another --out")
    if (before := audit.read_task_count(found)) not in (None, tasks):
        raise UserError(f"{place} has {before} tasks per category: say --tasks {before}, or choose "
                        "another --out")  # fmt: skip
    exams, measured = audit.draw_exams(tasks), dict[str, Any]()
    own = {"clip": clip, "structure": None, "perceptual": None, "dino": None}
    sides = {exam.source.shape[1::-1] for exam in exams}
    how = {**own, "protocol": "strict", "metrics": None}
    _, networks = load_networks(context, ("clip_whole",), sizes=sides, options=how)
    if "clip" in networks:
        net = networks["clip"]
        scores = audit.score_by_clip(exams, model=net.model)
        measured[f"CLIP {net.name}"] = audit.summarise_audit(exams, scores)
    if (labels := _label_judge(context)) is not None:
        scores = audit.score_by_labels(exams, judge=labels)
        measured["labels"] = audit.summarise_audit(exams, scores)
    if judge := choose_judge(options, kind="drawn"):
        scores = audit.score_by_asking(exams, judge=judge, folder=out, track=track)
        measured[judge.model] = {**audit.summarise_audit(exams, scores), "judge": judge.way}
    if not measured:
        raise UserError("no judge is here: name one with --clip or --judge-model")
    found |= measured  # judges that were audited before stay
    write_json(place, found)
    if as_json:
        click.echo(json.dumps(found))
        return
    lines = [
        (name, kind, f"{cell['mean']:.3f}", _interval(cell), f"{cell['n']}")
        for name, one in found.items()
        for kind, cell in {**one["categories"], **one["wrong"]}.items()
        if cell["mean"] is not None
    ]
    show_table(("judge", "edits", "AUROC", "95% interval", "tasks"), lines, title="Right or wrong")
    say(f"{out / 'audit.json'} is written")


def _interval(cell: dict[str, Any]) -> str:
    return "" if cell["low"] is None else f"[{cell['low']:.3f}, {cell['high']:.3f}]"


def _label_judge(context: click.Context) -> Any:
    """The profile's classifier of drawn things; None outside a checkout of drawings."""
    from eval.external.commands.shared import find_study
    from lr_edit.frozen.judge import load_judge
    from lr_edit.frozen.weights import resolve

    root, profile = find_study(context)
    labels = profile.judges.labels if profile and profile.world == "picturebook" else None
    try:
        return load_judge(resolve(root, labels.name)) if labels else None
    except UserError as error:
        say(f"left out the label judge: {error}")
        return None
