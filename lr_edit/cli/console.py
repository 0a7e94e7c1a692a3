"""What every command shares: the checkout it works in, and its progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lr_edit.config import Config


def load_study(context: click.Context) -> tuple[Path, Config]:
    """The checkout and its configuration, as the global options say."""
    from lr_edit.config import load_config
    from lr_edit.workspace.paths import find_root

    root = find_root(context.obj["root"])
    return root, load_config(root / "params.yaml", profile=context.obj["profile"])


def track(items: Iterable, label: str, *, total: int | None = None) -> Iterator:
    """Items with a bar on stderr: what is done, how far it is, how long is left."""
    from rich.console import Console
    from rich.progress import track as bar

    items = list(items) if total is None else items
    yield from bar(items, description=label, total=total, console=Console(stderr=True))
