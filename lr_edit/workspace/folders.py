"""Folders that are whole or as they were: a stage's outputs take the place of the last run's at the
end, and at no moment before.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from lr_edit.files import empty_folder, write_error

TRIES = 100  # to take a place that another run takes at the same time
_count = count()


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, whose place it takes at the end; where that is never
    reached, what an earlier run left stays. Of two at once the later one wins.

    Raises UserError where it cannot be written, Unfinished where the disk is full.
    """
    remove_leftovers(folder.parent)
    part = empty_folder(_beside(folder))
    try:
        yield part
        _take_place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """What writers that were killed left in a folder; one at work keeps its own."""
    import psutil

    for part in folder.glob(".*.part"):
        writer = part.name.split(".")[-3]
        if writer.isdecimal() and not psutil.pid_exists(int(writer)):
            with suppress(OSError):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def _take_place(part: Path, folder: Path) -> None:
    old = _beside(folder)
    try:
        for last in (*[False] * TRIES, True):
            with suppress(FileNotFoundError):
                folder.unlink() if folder.is_symlink() else folder.rename(old)
            try:
                part.rename(folder)
                return
            except OSError as error:  # another run's has come meanwhile
                if last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name[:40]}.{os.getpid()}.{next(_count)}.part")
