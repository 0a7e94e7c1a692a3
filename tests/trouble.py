"""Items that go wrong on a worker of a cluster, which imports this and nothing of pytest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lr_edit.errors import UserError


@dataclass(frozen=True)
class Squares:
    """The square of a number, unless it is `bad`, deadly `once` or deadly `always`."""

    folder: Path
    bad: int | None = None
    once: int | None = None
    always: int | None = None
    slow: float = 0.0

    def __call__(self, item: int) -> int:
        time.sleep(self.slow)
        if item == self.bad:
            raise ValueError(f"{item} will not do")
        if item == self.always or (item == self.once and not self._died(item)):
            os.kill(os.getpid(), signal.SIGKILL)
        return item * item

    def _died(self, item: int) -> bool:
        mark = self.folder / f"died-{item}"
        there = mark.exists()
        mark.touch()
        return there


@dataclass(frozen=True)
class KilledOnce:
    """A stage's own function, but that the worker is killed at the task's first try."""

    make: Callable[[Any], Any]
    folder: Path
    task: str

    def __call__(self, item: Any) -> Any:
        mark = self.folder / "killed"
        if item.task.id == self.task and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.make(item)


def forbidden(item: int) -> int:
    """What nobody but the user can mend."""
    raise UserError(f"{item} is not allowed: choose another")
