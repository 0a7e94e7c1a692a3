"""`lr-edit picturebook`: draw the bundled world, train its small models."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lr_edit.cli.console import PATH, load_study, track


@click.command()
@click.option("--out", type=PATH, help="Default: the profile's data folder.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--train",
    type=click.IntRange(min=1),
    metavar="TASKS",
    help="So many tasks to train on, in place of every split; name a folder with --out.",
)
@click.pass_context
def draw(context: click.Context, out: Path | None, *, seed: int, train: int | None) -> None:
    """Draw every split's scenes and write tasks.json."""
    from lr_edit.errors import UserError
    from lr_edit.picturebook.tasks import COUNTS, count_more, write_data

    root, config = load_study(context)
    if train and not out:
        raise UserError(
            "--train draws another set than the bundled one: name its folder with --out"
        )
    folder = out or root / config.profiles["picturebook"].data
    counts = count_more(train) if train else COUNTS
    click.echo(f"{len(write_data(folder, seed=seed, counts=counts))} tasks in {folder}")


@click.command()
@click.argument("name")
@click.option("--device", default="cpu", show_default=True, help="cuda: minutes, other last bits.")
@click.option("--json", "as_json", is_flag=True, help="Print what was measured for a program.")
@click.pass_context
def train(context: click.Context, name: str, *, device: str, as_json: bool) -> None:
    """Train one small model, or `all`; goes on from the last checkpoint."""
    import torch

    from lr_edit.errors import UserError
    from lr_edit.picturebook import train as training
    from lr_edit.workspace.paths import cache_folder

    root, _ = load_study(context)
    if device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"there is no device {device!r} here: leave --device out")
    for each in training.NAMES if name == "all" else (name,):
        found = training.train(
            each,
            models=root / "models/picturebook",
            cache=cache_folder(root) / "picturebook",
            track=track,
            device=device,
        )
        click.echo(json.dumps({each: found}) if as_json else f"{each}: {found}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the rows for a program.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Where the training of every small model stands."""
    from lr_edit.picturebook import train as training
    from lr_edit.workspace.paths import cache_folder

    root, _ = load_study(context)
    rows = training.status(
        models=root / "models/picturebook", cache=cache_folder(root) / "picturebook"
    )
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        exported = "exported" if row["exported"] else ""
        click.echo(f"{row['name']:12} {row['steps']:6} steps  {exported}".rstrip())


@click.command()
@click.pass_context
def card(context: click.Context) -> None:
    """Measure what the models do, and write reports/models.md with its pictures."""
    from lr_edit.picturebook import card as cards
    from lr_edit.picturebook import measures
    from lr_edit.picturebook.pool import load_pool
    from lr_edit.picturebook.train import note
    from lr_edit.workspace.paths import cache_folder

    root, config = load_study(context)
    models, reports = root / "models/picturebook", root / "reports"
    pool = load_pool("val", 512, folder=cache_folder(root) / "picturebook")
    edit = measures.in_true_boxes(models, config.inpaint)
    found, edits = measures.measure_edits(models, edit, track=track)
    note(models, "inpainter", **found, **measures.measure_speed(models))
    edit = measures.as_instructed(models, config.proposal_set("instructed").inpaint)
    found, told = measures.measure_edits(models, edit, track=track)
    note(models, "editor", **found)
    found, rebuilt = measures.measure_reconstructions(models, pool)
    note(models, "vae", **found)
    found, maps = measures.measure_bank(models, pool, propose=config.propose)
    note(models, "anchors", **found)
    for name, exhibits, columns in (
        ("edits", edits[::4][:48], 8),
        ("worst", measures.worst(edits), 5),
        ("instructed", told[::8][:32], 8),
        ("reconstructions", [*rebuilt[:14], *measures.worst(rebuilt)], 8),
        ("attention", [*maps[:8], *measures.worst(maps)], 6),
    ):
        cards.write_sheet(reports / f"models_{name}.png", exhibits, columns=columns)
    cards.write_card(models, reports / "models.md")
    click.echo((reports / "models.md").read_text(encoding="utf-8"))


@click.command()
@click.pass_context
def curve(context: click.Context) -> None:
    """Measure the inpainter at every step it was kept at: what more training would bring."""
    from lr_edit.picturebook import train as training
    from lr_edit.workspace.paths import cache_folder

    root, config = load_study(context)
    rows = training.learning_curve(
        models=root / "models/picturebook",
        cache=cache_folder(root) / "picturebook",
        inpaint=config.inpaint,
        track=track,
    )
    for row in rows:
        click.echo(json.dumps(row))


COMMANDS = (draw, train, status, card, curve)
