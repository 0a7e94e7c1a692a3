"""A folder of edits against its data set, by names and heads of files: nothing is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.external.datasets import Dataset, Sample
from eval.external.datasets.contract import read_picture_size
from eval.external.edits import find_edits
from eval.external.mask_files import size_text
from lr_edit.errors import UserError
from lr_edit.workspace.pictures import picture_size

SHOWN = 20  # lines of a kind


@dataclass(frozen=True)
class Findings:
    """What is wrong with a folder.

    missing   task -> the file whose name is nearest, None where none is near
    extra     pictures that belong to no task
    problems  task -> what is wrong with its files, in words
    """

    tasks: int
    found: int
    missing: dict[str, str | None]
    extra: tuple[str, ...]
    problems: dict[str, str]

    @property
    def fine(self) -> bool:
        """Whether every task has an edit that can be measured."""
        return not (self.missing or self.problems)

    @property
    def lines(self) -> list[str]:
        """For people."""
        missing = [
            f"missing: {name}" + (f" (is {near} its edit?)" if near else "")
            for name, near in self.missing.items()
        ]
        return [
            f"{self.found} of {self.tasks} tasks have an edit",
            *_cut(missing),
            *_cut([f"extra: {name}" for name in self.extra]),
            *_cut(list(self.problems.values())),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "fine": self.fine}


def check_folder(dataset: Dataset, edits: Path, *, resize: bool) -> Findings:
    """Compare a folder with its data set.

    Args:
        dataset: what is asked for.
        edits: the folder.
        resize: whether edits of another size will be resized.

    Returns:
        All that is missing, extra or of another size.

    Raises:
        UserError: what `find_edits` refuses.
    """
    matching = find_edits(dataset, edits)
    problems = {}
    for sample in dataset.samples:
        file = matching.found.get(sample.task.id)
        wrong = next(_problems(sample, edits / file if file else None, resize=resize), None)
        if wrong:
            problems[sample.task.id] = wrong
    near = {name: matching.nearest(name) for name in matching.missing[:SHOWN]}
    missing = {name: near.get(name) for name in matching.missing}
    return Findings(len(dataset.samples), len(matching.found), missing, matching.extra, problems)


def _problems(sample: Sample, edit: Path | None, *, resize: bool) -> Iterator[str]:
    """What is wrong with the files of one task, as far as their heads say."""
    try:
        size = read_picture_size(sample.image)
        if sample.target is not None:
            read_picture_size(sample.target)
        sample.read_mask(size)
        if edit is None:
            return
        own = picture_size(edit, name=f"edit {edit}")
    except UserError as error:
        yield str(error)
        return
    if own != size and not resize:
        yield (
            f"edit {edit} is {size_text(own)} but its source is {size_text(size)}: nothing is "
            "resized here, save it at its source's size or pass --resize"
        )


def _cut(lines: list[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - SHOWN
    return lines if more <= 0 else [*lines[:SHOWN], f"... and {more} more"]
