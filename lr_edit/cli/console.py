"""What every command shares: the checkout it works in, what it says in passing, and its progress.

Progress is a bar on stderr; where that is no terminal, a line now and then.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lr_edit.errors import Notice, UserError, shorten
from lr_edit.workspace.inert import show_text

if TYPE_CHECKING:
    from lr_edit.config import Config

PAUSE = 10.0  # seconds between two lines
NOTICES = 5  # of one kind that are said; the others are counted


class Words(click.ParamType):
    """Words in UTF-8, whatever the locale: where it is none, Python hands over bare bytes."""

    name = "text"

    def convert(self, value: str, *_: Any) -> str:
        """UserError for what is no text."""
        return as_words(value)


class _Place(click.Path):
    """A path; an empty one is a variable that was not set, and means no folder."""

    def convert(self, value: Any, param: click.Parameter | None, *context: Any) -> Any:
        """UserError for an empty name."""
        if not str(value).strip():
            name = param.opts[0] if param else "the path"
            raise UserError(f"{name} is empty: name a file or a folder")
        return super().convert(value, param, *context)


WORDS = Words()
PATH = _Place(path_type=Path)


def as_words(text: str) -> str:
    """A text of the command line or the file system; UserError where it is not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise UserError(f"{shorten(text)} is no text in UTF-8: type it anew") from None


def say(text: object) -> None:
    """A sentence on stderr."""
    show(f"lr-edit: {text}", err=True)


def show(text: str, *, err: bool = False) -> None:
    """Lines on stdout or stderr; nobody's words steer the terminal."""
    click.echo("\n".join(map(show_text, text.split("\n"))), err=err)


def choose_profile(context: click.Context, own: str | None) -> str | None:
    """The profile that a command was given, else the one before it; the rest goes by it."""
    if own is not None:
        context.obj["profile"] = own
    return context.obj["profile"]


def load_study(context: click.Context) -> tuple[Path, Config]:
    """The checkout and its configuration; UserError where --profile asks for another than the
    study's, whose results and dvc.lock are its own profile's."""
    from lr_edit.config import load_config
    from lr_edit.workspace.paths import find_root

    root = find_root(context.obj["root"])
    config = load_config(root / "params.yaml", profile=context.obj["profile"])
    if config.profile != (own := load_config(root / "params.yaml").profile):
        raise UserError(
            f"{root / 'params.yaml'} says profile {own!r}, so nothing here is of "
            f"{config.profile!r}: `lr-edit study NAME --profile {config.profile}` makes a study"
        )
    return root, config


def find_config(context: click.Context) -> tuple[Path, Config]:
    """For a command that needs no study: a study as `load_study` finds it, where there is one; else
    --root or the working directory, and what the package itself says."""
    from lr_edit.config import load_config
    from lr_edit.workspace.paths import find_params

    params = find_params(context.obj["root"])
    root = params.parent if params else context.obj["root"] or Path.cwd()
    return root, load_config(params, profile=context.obj["profile"])


@contextmanager
def say_notices() -> Iterator[None]:
    """Inside, every `Notice` is a line on stderr, once, and of many that end alike the first
    few; other warnings are shown as ever."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        show, said, many = warnings.showwarning, set(), Counter[str]()

        def take(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            text = str(message)
            if not issubclass(category, Notice):
                show(message, category, *place, **more)
            elif text not in said:
                said.add(text)
                many[kind := text.rpartition(": ")[2]] += 1
                if many[kind] <= NOTICES:
                    say(text)

        warnings.showwarning = take
        try:
            yield
        finally:
            for kind, count in many.items():
                if count > NOTICES:
                    say(f"{count - NOTICES} more: {kind}")


@contextmanager
def any_console() -> Iterator[None]:
    """Inside, a console that lacks a letter gets a question mark, and one that is closed or has no
    width is as none: no crash after all the work."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if not os.environ.get("COLUMNS", "80").isdecimal() or int(os.environ.get("COLUMNS", "80")) < 1:
        del os.environ["COLUMNS"]
    streams = [one for one in (sys.stdout, sys.stderr) if hasattr(one, "reconfigure")]
    before = [one.errors for one in streams]
    for one in streams:
        one.reconfigure(errors="replace")
    try:
        yield
    finally:
        for one, errors in zip(streams, before, strict=True):
            one.reconfigure(errors=errors)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Inside, being asked to end (SIGTERM, by `kill` and batch systems) is as Ctrl-C: children are
    ended too, and it is said what is kept."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: threads are ending
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def track(items: Iterable, label: str, *, total: int | None = None) -> Iterator:
    """Items with their progress: what is done, how far it is, how long is left."""
    items = list(items) if total is None else items
    many = len(items) if total is None else total  # type: ignore[arg-type]
    with show_share(label) as tell:
        for done, item in enumerate(items):
            tell(done / max(many, 1), "")
            yield item
        tell(1.0, "")


@contextmanager
def show_share(label: str) -> Iterator[Callable[[float, str], None]]:
    """A function to call with the share that is done, from 0 to 1, and what happens next."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(label).tell
        return
    words = TextColumn("{task.description}", markup=False)  # a name is no markup
    with Progress(words, BarColumn(), TaskProgressColumn(), Left(), console=console) as bar:
        task = bar.add_task(show_text(label), total=1.0)

        def tell(share: float, what: str) -> None:
            bar.update(task, completed=share, description=show_text(f"{label} {what}".strip()))

        yield tell


class _Lines:
    """Progress for a log: a line where something new begins, and one every `PAUSE` seconds."""

    def __init__(self, label: str) -> None:
        self._label, self._said, self._last = label, "", -PAUSE

    def tell(self, share: float, what: str) -> None:
        """Say it if it is time to."""
        text, now = f"{self._label} {what}".strip(), time.monotonic()
        if text != self._said or share == 1.0 or now - self._last >= PAUSE:
            click.echo(f"{show_text(text)}: {share:.0%}", err=True)
            self._said, self._last = text, now
