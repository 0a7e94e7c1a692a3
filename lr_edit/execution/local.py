"""Who makes the items of a stage: a loop, a process per core, or a cluster (execution/ray.py).

An executor takes items and a function, and yields each item with what was made of it, in the order
in which they are done. What one item raises is that item's `Failed`; a `UserError` is about more
than one item and ends the run.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import active_children, get_context
from typing import Any, Protocol, runtime_checkable

from lr_edit.errors import Unfinished, UserError, lacks_memory

WORTH = 8  # items per process: fewer are done before it has started
NEEDS = 2 * 2**30  # bytes of memory per process, generously


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
        first = f"{type(error).__name__}: {error}".splitlines()[0]
        cause = "out of memory" if lacks_memory(error) else first
        return Failed(cause, traceback.format_exc())


def run_in_loop(items: Iterable[Any], make: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """The executor of one process: a loop."""
    return ((item, attempt(make, item)) for item in items)


def make_all(
    items: Iterable[Any], make: Callable[[Any], Any], *, execute: Execute
) -> Iterator[Any]:
    """What was made of the items, in the order in which they are done.

    Raises Unfinished at the first that failed.
    """
    for _, made in execute(items, make):
        if isinstance(made, Failed):
            error = Unfinished(f"{made.cause}; what was cached before is kept, run again")
            error.__cause__ = RuntimeError(made.trace)
            raise error
        yield made


def choose_executor(count: int, *, small: bool) -> Execute:
    """The executor of this machine for `count` items: a process per core where models are small and
    items many, as far as the memory goes; else this process, whose models have the GPU or all
    threads."""
    import psutil
    import torch

    workers = min(cores(), count // WORTH, psutil.virtual_memory().available // NEEDS)
    if workers < 2 or not small or torch.cuda.is_available():
        return run_in_loop
    return partial(run_over_cores, workers=workers)


def cores() -> int:
    """How many this process may use."""
    known = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(known(0)) if known else os.cpu_count() or 1


def run_over_cores(
    items: Iterable[Any], make: Callable[[Any], Any], *, workers: int
) -> Iterator[tuple[Any, Any]]:
    """The executor of many processes, each with its own copy of `make`, one item at a time.

    Raises Unfinished where one of them dies: what they were at is lost, nothing else.
    """
    items = iter(items)
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _hire, (make, os.getpid()))
    try:
        with _not_interrupted():  # nor are its children, then: who starts them ends them
            busy = {pool.submit(_attempt_own, item): item for item in islice(items, workers)}
        while busy:
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                item, made = busy.pop(future), future.result()
                busy |= {pool.submit(_attempt_own, one): one for one in islice(items, 1)}
                yield item, made
    except BrokenProcessPool:
        raise Unfinished(
            "a process that made items died; what was finished is kept, run again"
        ) from None
    except BaseException:
        end_workers()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def end_workers() -> None:
    """End every process that makes items, at once: nobody waits for what it is at."""
    for child in active_children():
        child.kill()


@contextmanager
def _not_interrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_own: Callable[[Any], Any]


def _hire(make: Callable[[Any], Any], employer: int) -> None:
    """In a new process: what it is to make of items, as long as the process that wants them
    lives: one that is killed tells nobody."""
    global _own  # a process has no other memory between its items
    _own = make
    threading.Thread(target=_leave_with, args=(employer,), daemon=True).start()


def _leave_with(employer: int) -> None:
    while os.getppid() == employer:
        time.sleep(0.5)
    os._exit(1)


def _attempt_own(item: Any) -> Any:
    return attempt(_own, item)
