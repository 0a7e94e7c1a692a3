"""Who makes the items of a stage: a loop in this process, or a cluster (lr_edit/cluster.py).

An executor takes items and a function, and yields each item with what was made of it, in the order
in which they are done. What one item raises is that item's `Failed`; a `UserError` is about more
than one item and ends the run.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lr_edit.errors import UserError


@dataclass(frozen=True)
class Failed:
    """Why nothing was made of an item: one line, and where it happened."""

    cause: str
    trace: str = ""


@runtime_checkable
class Execute(Protocol):
    """Makes items; takes the next one only when somebody is free for it."""

    def __call__(
        self, items: Iterable[Any], make: Callable[[Any], Any]
    ) -> Iterator[tuple[Any, Any]]: ...


def attempt(make: Callable[[Any], Any], item: Any) -> Any:
    """What is made of an item, or a `Failed`. Raises UserError."""
    try:
        return make(item)
    except UserError:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        return Failed(cause, traceback.format_exc())


def one_by_one(items: Iterable[Any], make: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """The executor of one process: a loop."""
    return ((item, attempt(make, item)) for item in items)
