"""`lr-edit score` and `lr-edit evaluate`: any editor's results, one pair or a folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lr_edit.cli.console import load_study, track
from lr_edit.errors import UserError
from lr_edit.execution.environment import pin_environment

if TYPE_CHECKING:
    from eval.metrics.networks import Network
    from lr_edit.profiles import Profile

_PATH = click.Path(path_type=Path)
_SHARED = (
    click.option(
        "--protocol", type=click.Choice(["strict", "pie-bench"]), default="strict",
        show_default=True, help="pie-bench: as PnPInversion's tables; masks get its outer ring.",
    ),
    click.option("--metrics", help="Names or families (mse, psnr, ssim, clip); default: all."),
    click.option("--clip", help="NAME:TAG of open_clip, or local-dir:FOLDER."),
    click.option("--structure", help="A ViT of timm, or local-dir:FOLDER."),
    click.option("--perceptual", help="LPIPS alex, vgg, squeeze, or local-dir:FOLDER."),
    click.option("--jpeg-75", is_flag=True, help="Take edits as JPEG of quality 75."),
    click.option("--json", "as_json", is_flag=True, help="Print the result for a program."),
)  # fmt: skip
ROLES = ("clip", "structure", "perceptual")


def _shared(command: Callable) -> Callable:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.command()
@click.argument("source", type=_PATH)
@click.argument("edited", type=_PATH)
@click.option("--mask", type=_PATH, help="Black and white; white is what was to be edited.")
@click.option("--prompt", help="What the edit should show.")
@click.option("--source-prompt", help="What the source shows.")
@_shared
@click.pass_context
def score(
    context: click.Context, source: Path, *, edited: Path, mask: Path | None, prompt: str | None,
    source_prompt: str | None, **options: Any,
) -> None:  # fmt: skip
    """Measure one edit against its source."""
    pin_environment()
    from eval.external.folder import check_sizes
    from eval.external.mask_files import read_mask, size_text
    from eval.metrics import pie_bench
    from eval.metrics.suite import Pair, describe_metric, measure
    from eval.study.scores import value_cell
    from lr_edit.workspace.storage import read_image

    before, after = read_image(source), read_image(edited)
    check_sizes(before, after, path=edited)
    inside = read_mask(mask) if mask else None
    if inside is not None and inside.shape != before.shape[:2]:
        raise UserError(
            f"mask {mask} is {size_text(inside.shape)} but the images are "
            f"{size_text(before.shape)}: nothing is resized here, make them one size"
        )
    if inside is not None and options["protocol"] == "pie-bench":
        inside = pie_bench.add_ring(inside)
    if options["jpeg_75"]:
        after = pie_bench.jpeg_75(after)
    pair = Pair(before, after, inside, prompt, source_prompt)
    names = _given(options["metrics"], pair)
    names, networks = _networks(context, names, sizes=[before.shape[1::-1]], options=options)
    values = measure(
        pair, names, networks={role: net.model for role, net in networks.items()},
        protocol=options["protocol"],
    )  # fmt: skip
    found = {
        name: {
            "value": value if text and status == "ok" else None,
            "status": status,
            **describe_metric(name),
        }
        for name, value in values.items()
        for text, status in [value_cell(value)]
    }
    nets = {role: {"name": net.name, "sha256": net.digest} for role, net in networks.items()}
    if options["as_json"]:
        result = {"protocol": options["protocol"], "metrics": found, "networks": nets}
        click.echo(json.dumps(result))
        return
    _show(
        ("metric", "value", "region"),
        [(n, value_cell(v, 6)[0] or "missing", found[n]["region"]) for n, v in values.items()],
        title=f"protocol {options['protocol']}",
    )


@click.command()
@click.option("--dataset", "spec", required=True, help="KIND:PATH, as in pie-bench:data/PIE.")
@click.option("--edits", type=_PATH, required=True, help="The folder of edited images.")
@click.option("--out", type=_PATH, default=Path("evaluation"), show_default=True)
@click.option("--variant", help="The editor's name in the tables; default: the folder's.")
@click.option("--seed", default="0", show_default=True, help="The name of this run of the editor.")
@click.option("--against", help="A variant in --out that every other is compared with.")
@_shared
@click.pass_context
def evaluate(
    context: click.Context, spec: str, *, edits: Path, out: Path, variant: str | None, seed: str,
    against: str | None, **options: Any,
) -> None:  # fmt: skip
    """Measure a folder of edits on a dataset; a second run measures only what changed."""
    pin_environment()
    from eval.external.datasets import open_dataset
    from eval.external.folder import Journal, Request, evaluate_folder
    from eval.external.summary import HEAD, caption, markdown, side_by_side, summarise, table
    from eval.metrics.suite import DEFAULT, select_metrics
    from eval.report.latex import document
    from lr_edit.workspace.storage import atomic_write, picture_size, write_json

    dataset = open_dataset(spec)
    if not edits.is_dir():
        raise UserError(f"{edits} is not a folder of edits")
    names = select_metrics(options["metrics"].split(",")) if options["metrics"] else DEFAULT
    sizes = [
        picture_size(path, name=f"image {path}")[::-1]
        for path in (dataset.folder / task.image for task in dataset.tasks)
    ]
    names, networks = _networks(context, names, sizes=sizes, options=options)
    request = Request(
        dataset, edits, variant or edits.resolve().name, names, options["protocol"], networks,
        seed=seed, jpeg_75=options["jpeg_75"],
    )  # fmt: skip
    journal = Journal(out)
    lacking = evaluate_folder(request, journal, track=track)
    if lacking:
        _say(f"{len(lacking)} of {len(dataset.tasks)} tasks have no edit, first {lacking[0]!r}")
    summary = summarise(request, journal, against=against)
    write_json(out / "evaluation.json", summary)
    with atomic_write(out / "table.md") as part:
        part.write_text(markdown(summary))
    with atomic_write(out / "table.tex") as part:
        part.write_text(document([side_by_side(summary)]))
    if options["as_json"]:
        click.echo(json.dumps(summary))
        return
    _show(HEAD, table(summary), title=caption(summary))
    _say(f"{out / 'per_image.csv'}, evaluation.json, table.md and table.tex are written")


def _given(metrics: str | None, pair: Any) -> tuple[str, ...]:
    """The metrics that were asked for, or all that the pair allows; UserError for lacks."""
    from eval.metrics.suite import DEFAULT, FAMILIES, SUITE, select_metrics

    lacks = {name: need for name in SUITE if (need := pair.lacks(SUITE[name]))}
    if metrics:
        asked = [name.strip() for name in metrics.split(",")]
        found = select_metrics(asked)
        for name in asked:
            members = FAMILIES.get(name, (name,))  # of a family, what the pair allows
            if all(member in lacks for member in members):
                raise UserError(f"{name} needs --{lacks[members[0]]}")
        return tuple(name for name in found if name not in lacks)
    for need in dict.fromkeys(lacks.values()):
        _say(f"left out {', '.join(n for n in DEFAULT if lacks.get(n) == need)}: pass --{need}")
    return tuple(name for name in DEFAULT if name not in lacks)


def _networks(
    context: click.Context, names: tuple[str, ...], *, sizes: Iterable[tuple[int, int]],
    options: dict[str, Any],
) -> tuple[tuple[str, ...], dict[str, Network]]:  # fmt: skip
    """The metrics whose network is here, and the networks; the rest is left out with a word.

    Metrics that were asked for by name are never left out: UserError.
    """
    from eval.metrics.suite import SUITE

    if not any(SUITE[name].role for name in names):
        return names, {}
    from eval.metrics.networks import choose_weights, load_network, say_cure

    logging.getLogger().addHandler(logging.NullHandler())  # what libraries log, a sentence says
    root, profile = _study(context)
    own = {role: options[role] for role in ROLES}
    weights = choose_weights(profile, protocol=options["protocol"], options=own)
    loaded: dict[str, Network] = {}
    for role in ROLES:
        here = [name for name in names if SUITE[name].role == role]
        if not here:
            continue
        bundled = profile is not None and profile.world == "picturebook" and not own[role]
        try:
            if bundled and profile and set(sizes) != {(profile.side, profile.side)}:
                raise UserError(
                    f"the picture book's networks know {profile.side}x{profile.side} drawings "
                    f"alone: name others with --profile or --{role}"
                )
            loaded[role] = load_network(role, weights[role], root=root)
        except UserError as error:
            why, _, mended = str(error).partition("; get them with")  # the loaders' own cure
            mend = f"; {say_cure(role, weights[role])}" if mended else ""
            if options["metrics"]:
                raise UserError(f"{here[0]}: {why}{mend}") from None
            _say(f"left out {', '.join(here)}: {why}{mend}")
            names = tuple(name for name in names if name not in here)
        else:
            if bundled:
                _say(f"{', '.join(here)} by {weights[role].name}, a stand-in for drawings")
    return names, loaded


def _study(context: click.Context) -> tuple[Path, Profile | None]:
    """The checkout and its profile; outside one, the working directory and none."""
    from lr_edit.workspace.paths import find_root

    if context.obj["root"] is None and context.obj["profile"] is None:
        try:
            find_root()
        except UserError:
            return Path.cwd(), None
    root, config = load_study(context)
    return root, config.models


def _show(head: Iterable[str], lines: Iterable[Iterable[str]], *, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    first, *rest = head
    table = Table(first, title=title, title_justify="left")
    for name in rest:
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(*line)
    Console().print(table)


def _say(text: str) -> None:
    click.echo(f"lr-edit: {text}", err=True)


@click.command()
@click.argument("folder", type=_PATH, required=False)
def photos(folder: Path | None) -> None:
    """List 60 photos to gather, or write FOLDER/tasks.json for those that are in it.

    They stand in for the paper's 60 pairs, which were never released. Name each photo by its id;
    eval/criteria/photos60.yaml says where to find free ones.
    """
    from eval.external.photos import criteria, write_photo_tasks

    if folder is None:
        for row in criteria():
            click.echo(f"{row['id']:18} {row['photo']}: {row['source']} -> {row['prompt']}")
        return
    tasks, lacking = write_photo_tasks(folder)
    click.echo(f"{folder / 'tasks.json'}: {len(tasks)} tasks")
    if lacking:
        _say(f"{len(lacking)} photos are missing: {', '.join(lacking)}")


COMMANDS = (score, evaluate, photos)
