"""`lr-edit data add`: photos and words -> the tasks of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lr_edit.cli.console import PATH, WORDS, choose_profile, find_config, show
from lr_edit.errors import UserError

if TYPE_CHECKING:
    from lr_edit.types import EditTask


@click.group()
def data() -> None:
    """Photos of your own, made the tasks of a study."""


@data.command()
@click.argument("photos", type=PATH)
@click.option("--table", type=PATH,
              help="A CSV file with the columns image, source, prompt, and mask or box where you "
              "know the place. Default: PHOTOS/edits.csv.")  # fmt: skip
@click.option("--source", type=WORDS, help='For one photo, what is edited: "a red boat".')
@click.option("--prompt", type=WORDS, help='For one photo, the result: "a blue fish on sand".')
@click.option("--mask", type=PATH, help="For one photo: white where it is to be edited.")
@click.option("--box", metavar="L,T,R,B", help="For one photo: the place, in its pixels.")
@click.option("--profile", help="Whose weights will edit them; default: the study's.")
@click.option("--overwrite", is_flag=True, help="Give tasks that are there these words.")
@click.option("--force", is_flag=True, help="Let picture-book weights have what is no drawing.")
@click.pass_context
def add(
    context: click.Context, photos: Path, *, table: Path | None, source: str | None,
    prompt: str | None, mask: Path | None, box: str | None, profile: str | None, overwrite: bool,
    force: bool,
) -> None:  # fmt: skip
    """Write FOLDER/tasks.json for a folder of PHOTOS and a table, or for one photo and its words.

    Photos and tables stay as they are. docs/own-photos.md states the formats.
    """
    from lr_edit.edit_table import Row, read_rows
    from lr_edit.own_photos import BrokenList, add_photos

    choose_profile(context, profile)
    _, config = find_config(context)
    problems: list[str] = []
    if photos.is_dir():
        if source or prompt or mask or box:
            raise UserError(f"{photos} is a folder: its words stand in a table, --table edits.csv")
        folder, table = photos, table or photos / "edits.csv"
        rows, problems = read_rows(table)
    else:
        if table:
            raise UserError(f"{photos} is no folder: name that of the photos, or leave out --table")
        if source is None or prompt is None:
            raise UserError(f"{photos} is no folder: for one photo give --source and --prompt")
        folder = photos.parent
        name = _name(mask, folder) if mask else ""
        rows = [Row(photos.name, source.strip(), prompt.strip(), mask=name, box=box or "")]
    try:
        added = add_photos(folder, rows, profile=config.models, force=force, overwrite=overwrite,
                           problems=problems)  # fmt: skip
    except BrokenList:
        raise
    except UserError as error:
        lines = str(error).splitlines()
        if not table:
            raise
        many = f"{len(lines)} problems" if len(lines) > 1 else "a problem"
        raise UserError(
            "\n  ".join([f"{table} has {many}, so nothing was written:", *lines])
        ) from None
    show(
        f"{folder / 'tasks.json'}: {len(added.new)} added, {len(added.replaced)} replaced"
        f"{_named(added.replaced)}, {added.same} there already"
    )


def _named(replaced: Sequence[EditTask]) -> str:
    """Which tasks they are, where a line holds them."""
    return f" ({', '.join(task.id for task in replaced)})" if 0 < len(replaced) <= 5 else ""


def _name(file: Path, folder: Path) -> str:
    """A file's name in a folder. UserError where it is not, or lies elsewhere."""
    if not file.exists():
        raise UserError(f"{file} is not there: name the mask, beside the photo")
    if not file.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{file} lies outside {folder.resolve().name}/: put it beside the photo")
    return file.resolve().relative_to(folder.resolve()).as_posix()
