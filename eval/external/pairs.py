"""A task's files -> the pair that is measured, decoded ahead of who measures it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from eval.external.datasets import Sample
from eval.external.datasets.contract import read_picture
from eval.external.mask_files import size_text
from eval.metrics import pie_bench
from eval.metrics.eight_bits import resize_to
from eval.metrics.pair import Pair
from eval.metrics.regions import Protocol
from eval.metrics.suite import SUITE
from lr_edit.errors import UserError
from lr_edit.workspace.pictures import read_image

READERS, AHEAD = 1, 8  # threads that decode pictures (warnings allow one), and pairs ahead
T = TypeVar("T")
R = TypeVar("R")


class UnusableEdit(UserError):
    """One task's edit cannot be measured; the others can."""


def read_pair(
    sample: Sample, path: Path, *, protocol: Protocol, jpeg_75: bool = False, resize: bool = False
) -> Pair:
    """The source, its edit as the protocol takes it, and the mask.

    Args:
        sample: the task.
        path: its edit.
        protocol: under `pie-bench` the last square of a strip of pictures is the edit.
        jpeg_75: take the edit as a JPEG of quality 75.
        resize: resize it to its source, where that has another size.

    Raises:
        UnusableEdit: the edit cannot be read, or has another size than its source.
        UserError: the source or its mask cannot be read.
    """
    source = read_picture(sample.image)
    mask = sample.read_mask(source.shape[:2], protocol=protocol)
    try:
        edited = read_image(path, name=f"edit {path}")
    except UserError as error:
        raise UnusableEdit(str(error)) from None
    if protocol == "pie-bench" and edited.shape != source.shape:
        edited = pie_bench.strip_square(edited)
    if jpeg_75:
        edited = pie_bench.jpeg_75(edited)
    saved = edited
    if resize:
        edited = resize_to(edited, source.shape[:2])
    check_sizes(source, edited, path=path)
    target = None if sample.target is None else read_picture(sample.target)
    if target is not None and not resize:
        check_sizes(target, saved, path=path, what="target")
    task = sample.task
    words = task.caption or task.source or None
    return Pair(source, edited, mask, task.prompt or None, words, target=target, saved=saved)


def check_sizes(
    source: np.ndarray, edited: np.ndarray, *, path: Path, what: str = "source",
    cure: str = " or pass --resize",
) -> None:  # fmt: skip
    """UnusableEdit unless both pictures have one size."""
    if source.shape != edited.shape:
        raise UnusableEdit(
            f"{path} is {size_text(edited.shape)} but its {what} is {size_text(source.shape)}: "
            f"nothing is resized here, save it at its {what}'s size{cure}"
        )


def read_ahead(items: Iterable[T], read: Callable[[T], R]) -> Iterator[R]:
    """`read` of every item, in order, a few ahead of who takes them; what it raises is raised."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            source = iter(items)
            waiting.extend(pool.submit(read, item) for item in islice(source, AHEAD))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(read, item) for item in islice(source, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def lacks_everywhere(samples: Iterable[Sample], metric: str) -> bool:
    """Whether no task has what a metric needs."""
    return all(_needs(sample, metric) for sample in samples)


def _needs(sample: Sample, metric: str) -> bool:
    """Whether the task lacks something that the metric needs."""
    task = sample.task
    has = {
        "mask": sample.mask is not None,
        "prompt": task.prompt,
        "source-prompt": task.caption or task.source,
        "target": sample.target is not None,
    }
    return not all(has[need] for need in SUITE[metric].needs)
