"""lr-edit: its commands. Results go to stdout, logs and progress to stderr; exit code 2 is the
user's to mend, 1 is ours."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import click

from lr_edit.cli.app import app
from lr_edit.cli.console import (
    PATH,
    WORDS,
    any_console,
    choose_profile,
    find_config,
    interrupted_by_signals,
    load_study,
    say,
    say_notices,
    show,
    track,
)  # fmt: skip
from lr_edit.cli.data import data
from lr_edit.cli.edit import edit
from lr_edit.cli.extras import check_executor, say_exhausted, say_misnamed, say_missing
from lr_edit.cli.grouped import GroupedHelp, accept_anywhere
from lr_edit.cli.picturebook import COMMANDS
from lr_edit.config import Config
from lr_edit.errors import Unfinished, UserError, shorten, suggest_name
from lr_edit.execution.environment import pin_environment
from lr_edit.execution.local import end_workers
from lr_edit.stages import ITEMS, TABLE
from lr_edit.stages.runner import run_stage
from lr_edit.workspace.paths import checkout, find_root, reports_folder


@click.group(cls=GroupedHelp, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root", type=PATH, help="The checkout; found when not given.")
@click.option("--profile", envvar="PROFILE", help="Frozen models to use; params.yaml names one.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="lr-edit")
@click.pass_context
def cli(context: click.Context, root: Path | None, *, profile: str | None, debug: bool) -> None:
    """Text-driven image editing via learnable regions."""
    Path.cwd()  # where that is gone, it is said before a library dies of it
    context.obj = {"root": root, "profile": profile, "debug": debug}


@cli.command()
@click.argument("name")
@click.option("--variant", help="For train, edit and evaluate: a row of params.yaml.")
@click.option("--proposals", help="For candidates and judge: a proposal set of params.yaml.")
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local",
              envvar="LR_EDIT_EXECUTOR", help="For candidates: who inpaints them.")  # fmt: skip
@click.option("--address", envvar="RAY_ADDRESS", help="A Ray head; default: one of our own.")
@click.pass_context
def stage(
    context: click.Context, name: str, *, variant: str | None, proposals: str | None, executor: str,
    address: str | None,
) -> None:  # fmt: skip
    """Run one stage of the pipeline, as `dvc repro` does."""
    if name not in TABLE:
        raise UserError(f"unknown stage {name!r}{suggest_name(name, TABLE)}")
    root, config = load_study(context)
    given = {"proposals": proposals, "variant": variant}
    item = given.pop(ITEMS.get(name, ""), None)
    for other in (key for key, value in given.items() if value is not None):
        raise UserError(f"stage {name!r} takes no --{other}: leave it out")
    if name in ITEMS and not item:
        raise UserError(f"stage {name!r} needs --{ITEMS[name]}")
    check_executor(context, name, executor=executor)
    if item:
        (config.variant if ITEMS[name] == "variant" else config.proposal_set)(item)
    pin_environment(one_thread=config.models.world == "picturebook")

    def make(config: Config) -> int | None:
        run = import_module(TABLE[name]).run
        wanted = signature(run).parameters
        given: dict[str, Any] = {"track": track} if "track" in wanted else {}
        given |= {"name": item} if item else {}
        if executor == "ray" and "execute" in wanted:
            from lr_edit.execution.ray import run_over_ray

            given["execute"] = partial(run_over_ray, address=address)
        return run(root, config, **given)

    run_stage(root, config, stage=name, item=item, make=make)


@cli.command()
@click.argument("name")
@click.option("--profile", help="Its frozen models; default: what studies/NAME.yaml says.")
@click.option("--data", type=PATH, help="Its images and their tasks.")
@click.pass_context
def study(context: click.Context, name: str, *, profile: str | None, data: Path | None) -> None:
    """Write studies/NAME/: another study of this checkout, by its differences from params.yaml.

    Commands work in it with `--root studies/NAME`.
    """
    from lr_edit.workspace.overlay import write_study

    top = checkout(find_root(context.obj["root"]))
    folder = write_study(top, name, profile=choose_profile(context, profile), data=data)
    show(f"{folder}: run it with `make study STUDY={name}`")


@cli.command()
@click.pass_context
def where(context: click.Context) -> None:
    """Say where tables, pictures and the MLflow comparison are, and where the time went."""
    from lr_edit.workspace.times import format_times, read_times

    reports = reports_folder(root := load_study(context)[0])
    click.echo(f"tables         {reports / 'tables.md'} (.tex, .csv), {reports / 'results.json'}")
    click.echo(f"every edit     {reports / 'index.html'}, and {reports / 'contact_sheet.png'}")
    own = "" if checkout(root) == root else f" STUDY={root.name}"
    click.echo(f"comparison     make ui{own}   (MLflow, all variants side by side)")
    if times := read_times(root):
        click.echo(f"\nThe last run of every stage:\n{format_times(times)}")


@cli.command()
@click.option("--tracking-uri", help="An MLflow server; default: mlflow.db of the checkout.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt for a program.")
@click.pass_context
def publish(context: click.Context, tracking_uri: str | None, *, as_json: bool) -> None:
    """Show a finished study in MLflow; publishing twice adds nothing."""
    from lr_edit.tracking.publish import publish as publish_study

    root, _ = load_study(context)
    receipt = publish_study(root, tracking_uri=tracking_uri, progress=track)
    if as_json:
        said = {"warning": receipt.warning} if receipt.warning else {}
        click.echo(json.dumps(receipt.as_dict() | said))
    elif receipt.warning:
        raise Unfinished(receipt.warning)
    else:
        show(receipt.text)
    context.exit(int(receipt.warning is not None))


@cli.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_context
def ui(context: click.Context, port: int) -> None:
    """Open MLflow on the comparison of all variants; while rows are unfinished, as it was."""
    from lr_edit.tracking.publish import publish as publish_study
    from lr_edit.tracking.publish import serve
    from lr_edit.tracking.store import database

    root, _ = load_study(context)
    try:
        show(publish_study(root, progress=track).summary, err=True)
    except UserError as error:
        if not database(root).is_file():
            raise
        say(f"{error}. What was published before is shown")
    serve(root, port=port)


@cli.command()
@click.argument("row", type=WORDS)
@click.argument("metric")
@click.option("--json", "as_json", is_flag=True, help="Print all of it for a program.")
@click.pass_context
def trace(context: click.Context, row: str, *, metric: str, as_json: bool) -> None:
    """Where a number comes from: run, lock entries, parameters, commit.

    ROW is a row of the main table, or GROUP/ROW of the ablations; its title, in quotes, will do.
    """
    from lr_edit.tracking.trace import as_text
    from lr_edit.tracking.trace import trace as find

    found = find(*load_study(context), row=row, metric=metric)
    show(json.dumps(found) if as_json else as_text(found))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print every cell for a program.")
@click.pass_context
def verify(context: click.Context, as_json: bool) -> None:
    """Compare the study in the workspace with the committed one; exit code 1 if it differs, if
    nothing was run here, or if a file is not what dvc.lock says."""
    from lr_edit.tracking.verify import differs, verdict
    from lr_edit.tracking.verify import verify as compare

    found = compare(load_study(context)[0])
    click.echo(json.dumps(found) if as_json else verdict(found))
    context.exit(int(differs(found)))


@cli.command()
@click.option("--all", "every", is_flag=True, help="The weights of every profile.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings for a program.")
@click.pass_context
def doctor(context: click.Context, every: bool, *, as_json: bool) -> None:
    """Versions, device, weights present or missing, DVC's store whole; exit code 1 if it is not."""
    from lr_edit.cli.doctor import examine, findings_table

    root, config = find_config(context)
    found = examine(root, config, every=every)
    if as_json:
        click.echo(json.dumps(found))
    else:
        from rich.console import Console

        Console().print(findings_table(found))
    context.exit(int(bool(found["damaged"])))


@cli.group()
def models() -> None:
    """The frozen models of the profiles."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list for a program.")
@click.pass_context
def list_models(context: click.Context, as_json: bool) -> None:
    """Every profile's models: where from, which revision, which licence, present or not."""
    from lr_edit.cli.doctor import list_weights, weights_line

    rows = list_weights(*find_config(context))
    click.echo(json.dumps(rows) if as_json else "\n".join(map(weights_line, rows)))


@models.command("pull")
@click.option("--from", "source", type=PATH, help="Copy them from here: no network.")
@click.pass_context
def pull_models(context: click.Context, source: Path | None) -> None:
    """Fetch the weights of `--profile NAME`: pinned, safetensors alone, what is here is kept.

    --from takes a folder with org--name/ or org/name/ for every repository, or a copied hub cache.
    """
    from lr_edit.cli.doctor import pull

    tell = partial(show, err=True)
    show(f"{pull(*find_config(context), source=source, say=tell)} says what is here")


@cli.group()
def picturebook() -> None:
    """The bundled world: draw it, train its small models."""


for command in COMMANDS:
    picturebook.add_command(command)
for command in (edit, app, data, *import_module("eval.external.commands").COMMANDS):  # cli alone
    cli.add_command(command)
accept_anywhere(cli, [one for one in cli.params if one.name in ("root", "profile", "debug")])


def main(arguments: list[str] | None = None) -> None:
    """The console script: every failure is one sentence and an exit code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    # diffusers passes huggingface_hub an argument that it no longer takes: nobody here can help it.
    warnings.filterwarnings("ignore", message="The `local_dir_use_symlinks` argument")
    try:
        with any_console(), say_notices(), interrupted_by_signals():
            code = cli.main(arguments, prog_name="lr-edit", standalone_mode=False)
        if code:  # without standalone mode click hands back the code of context.exit()
            sys.exit(code)
    except (UserError, Unfinished, click.UsageError) as error:
        if debug and not isinstance(error, click.UsageError):
            raise
        say(error.format_message() if isinstance(error, click.UsageError) else error)
        sys.exit(1 if isinstance(error, Unfinished) else 2)
    except (click.Abort, KeyboardInterrupt) as stop:
        end_workers()
        cause = stop.__cause__ or stop  # click wraps what interrupts it
        known = getattr(cause, "__notes__", ["what was finished is kept, run again for the rest"])
        say(f"stopped; {known[0]}")
        sys.exit(128 + (signal.SIGTERM if "SIGTERM" in cause.args else signal.SIGINT))
    except (OSError, MemoryError) as error:  # a full disk, a closed pipe: nobody's defect
        if debug:
            raise
        misnamed = say_misnamed(error)
        say(misnamed or say_exhausted(error) or f"{shorten(error)}; what was finished is kept")
        sys.exit(2 if misnamed else 1)
    except Exception as error:
        if debug:
            raise
        if said := say_missing(error):
            say(said)
            sys.exit(2)
        ours = f"{type(error).__name__}: {shorten(error)} (a defect of ours; --debug shows where)"
        say(say_exhausted(error) or ours)
        sys.exit(1)
