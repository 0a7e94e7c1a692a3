"""How far an edit is: the share of all pictures that is done, counted in NFE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lr_edit.errors import UserError, shorten

# The share that is done, from 0 to 1, and what happens next.
Callback = Callable[[float, str], Any]


class Progress:
    """Tells a callback which share of all pictures is done, by the NFE of this one."""

    def __init__(self, callback: Callback | None, *, at: int, many: int, nfe: int) -> None:
        if callback is not None and not callable(callback):
            raise UserError(f"callback {shorten(callback)}: give a function of a share and words")
        self._tell = callback or (lambda _share, _what: None)
        self._at, self._many = at, many
        self._start = self._now = nfe
        self._what, self._total = "", 1

    def report(self, what: str, total: int) -> None:
        """What happens next, and the evaluations that all of it will take."""
        self._what, self._total = what, total
        self.watch(self._now)

    def watch(self, nfe: int) -> None:
        """The NFE of the inpainter so far."""
        self._now = nfe
        done = min((nfe - self._start) / self._total, 1.0)
        self._tell((self._at + done) / self._many, self._what)

    def end(self) -> None:
        """This picture is done."""
        self._tell((self._at + 1) / self._many, "done")
