"""A sample's pictures decoded, shown and measured: one after the other, or by a process per core.

Where nothing learned measures, decoding and pixels are all the work, and Python's lock would let
threads wait for one another; a network has all threads, and pictures are decoded ahead of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

from eval.external.datasets import Sample
from eval.external.gallery import Gallery
from eval.external.pairs import UnusableEdit, read_ahead, read_pair
from eval.metrics.pair import Pair
from eval.metrics.regions import Protocol
from eval.metrics.suite import measure
from lr_edit.errors import Notice
from lr_edit.execution.local import cores, make_all, run_over_cores

MANY = 200  # samples: fewer are measured before a process has started


@dataclass(frozen=True)
class Work:
    """What is to be measured of a sample.

    at     its place
    edit   its file; None where there is none
    todo   the metrics that the table lacks
    shown  the digests of source and edit, where the gallery lacks one of them
    """

    at: int
    sample: Sample
    edit: Path | None
    todo: tuple[str, ...]
    shown: tuple[str, str] | None = None


@dataclass(frozen=True)
class Made:
    """What came of it.

    at      its place
    values  metric -> value; NaN where there is no edit
    why     what is wrong with an edit that cannot be measured
    said    notices of whoever read the pictures
    """

    at: int
    values: Mapping[str, float]
    why: str | None = None
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurer:
    """How samples are measured; `networks` are role -> model."""

    protocol: Protocol
    jpeg_75: bool
    resize: bool
    gallery: Gallery | None
    networks: Mapping[str, Any] = field(default_factory=dict)

    def read(self, work: Work) -> tuple[Work, Pair | Made | None]:
        """The decoded pair, None where there is nothing to do, or why it cannot be."""
        if work.edit is None or not (work.todo or work.shown):
            return work, None
        try:
            how = {"protocol": self.protocol, "jpeg_75": self.jpeg_75, "resize": self.resize}
            return work, read_pair(work.sample, work.edit, **how)  # type: ignore[arg-type]
        except UnusableEdit as error:
            return work, Made(work.at, {}, str(error))

    def measure(self, work: Work, pair: Pair | Made | None) -> Made:
        """Show a pair by the pixels that are measured, and measure it."""
        if isinstance(pair, Made):
            return pair
        if pair is None:
            return Made(work.at, dict.fromkeys(work.todo, nan))
        if self.gallery and work.shown:
            self.gallery.add(work.shown[0], pair.source)
            self.gallery.add(work.shown[1], pair.edited if pair.saved is None else pair.saved)
        if not work.todo:
            return Made(work.at, {})
        values = measure(pair, work.todo, networks=self.networks, protocol=self.protocol)
        return Made(work.at, values)

    def __call__(self, work: Work) -> Made:
        """Both; what is said of the pictures comes back, for a process has no console."""
        with warnings.catch_warnings(record=True) as said, _one_thread():
            warnings.simplefilter("always", Notice)
            made = self.measure(*self.read(work))
        notices = tuple(str(one.message) for one in said if issubclass(one.category, Notice))
        return Made(made.at, made.values, made.why, notices)


def measure_all(measurer: Measurer, works: Iterable[Work], *, count: int) -> Iterator[Made]:
    """What came of `count` samples, in their order.

    Raises UserError for a source or a mask that cannot be read.
    """
    if measurer.networks:
        yield from (measurer.measure(*one) for one in read_ahead(works, measurer.read))
        return
    workers = min(cores(), count // MANY + 1)
    made: Iterable[Made] = map(measurer, works)
    if workers > 1:
        made = make_all(works, measurer, execute=partial(run_over_cores, workers=workers))
    for one in _in_order(made):
        for text in one.said:
            warnings.warn(text, Notice, 2)
        yield one


def _in_order(made: Iterable[Made]) -> Iterator[Made]:
    """A table has the same order whoever was first."""
    waiting: dict[int, Made] = {}
    place = 0
    for one in made:
        waiting[one.at] = one
        while place in waiting:
            yield waiting.pop(place)
            place += 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Each operation has one thread: the same sums on any number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
