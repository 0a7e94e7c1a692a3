"""`lr-edit photos`: what to gather, and a folder of photos made a data set."""

from __future__ import annotations

from pathlib import Path

import click

from lr_edit.cli.console import PATH, say


@click.command()
@click.argument("folder", type=PATH, required=False)
def photos(folder: Path | None) -> None:
    """List 60 photos to gather, or write FOLDER/tasks.json for those that are in it.

    They stand in for the paper's 60 pairs, which were never released. Name each photo by its id;
    eval/criteria/photos60.yaml says where to find free ones.
    """
    from eval.external.photos import criteria, write_photo_tasks
    from lr_edit.workspace.tasks import find_tasks

    if folder is None:
        for row in criteria():
            click.echo(f"{row['id']:18} {row['photo']}: {row['source']} -> {row['prompt']}")
        return
    tasks, lacking = write_photo_tasks(folder)
    listed = find_tasks(folder)
    click.echo(f"{folder / 'tasks.json'}: {len(tasks)} of the list, {len(listed)} tasks in all")
    if gone := [task.id for task in listed if not (folder / task.image).is_file()]:
        say(f"{', '.join(gone)}: the photo is gone, the task stands in tasks.json")
    if lacking:
        say(f"{len(lacking)} photos are missing: {', '.join(lacking)}")
