"""What every command shares: the checkout it works in, and its progress bar."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lr_edit.config import Config

# One instruction set and one summation order: the same bytes on every run of a machine, and with
# one thread, whatever the number of its cores.
_PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "HF_HUB_OFFLINE": "1",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def load_study(context: click.Context) -> tuple[Path, Config]:
    """The checkout and its configuration, as the global options say."""
    from lr_edit.config import load_config
    from lr_edit.places import find_root

    root = find_root(context.obj["root"])
    return root, load_config(root / "params.yaml", profile=context.obj["profile"])


def track(items: Iterable, label: str, total: int | None = None) -> Iterator:
    """Items with a bar on stderr: what is done, how far it is, how long is left."""
    from rich.console import Console
    from rich.progress import track as bar

    items = list(items) if total is None else items
    yield from bar(items, description=label, total=total, console=Console(stderr=True))


def pin_environment(*, one_thread: bool = False) -> None:
    """Before torch is imported: fix instruction sets, and let no run download anything.

    What the user has set stays. `lr-edit models pull` is the one command that downloads.
    """
    for key, value in (_PINNED | (ONE_THREAD if one_thread else {})).items():
        os.environ.setdefault(key, value)


def pinned_environment() -> dict[str, str]:
    """What is fixed in this process, for others that are to compute the same bytes."""
    return {key: os.environ[key] for key in _PINNED if key in os.environ}
