"""`lr-edit pages`: what the committed data says, in words and pictures, of every study."""

from __future__ import annotations

import click

from lr_edit.cli.console import load_study, say


@click.command()
@click.pass_context
def pages(context: click.Context) -> None:
    """Write README's results and the pages of reports/ from the committed data alone.

    Of every study of the checkout, or of the one that --root names.
    """
    from eval.report.pages import write_all_pages, write_pages
    from lr_edit.tracking.rows import other_studies
    from lr_edit.tracking.trace import find_altered
    from lr_edit.workspace.paths import checkout

    root, config = load_study(context)
    own = context.obj["root"]
    for study in [root] if own else [checkout(root), *other_studies(checkout(root))]:
        for path in find_altered(study):
            say(f"{path} is not what dvc.lock says: these pages show what is of another origin, "
                "run `dvc repro`")  # fmt: skip
    written = write_pages(root, config) if own else write_all_pages(checkout(root))
    click.echo("\n".join(map(str, written)))
