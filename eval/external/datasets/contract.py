"""What an adapter of a data set returns, and how its pictures and masks are read.

A new data set is one file with one function of the kind `Adapter`, and a line in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt8

from eval.external.mask_files import Cutout, MaskSource, read_mask_of, size_text
from eval.metrics import pie_bench
from eval.metrics.regions import Protocol as Rules
from lr_edit.errors import UserError
from lr_edit.files import read_bytes
from lr_edit.types import EditTask
from lr_edit.workspace.pictures import picture_size, read_image
from lr_edit.workspace.storage import content_key
from lr_edit.workspace.tasks import check_truth


@dataclass(frozen=True)
class Embedded:
    """A picture in a parquet file: row `row` of the row group `group`, in the column `column`."""

    file: Path
    group: int
    row: int
    column: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row} of group {self.group}, {self.column}"

    def read(self) -> bytes:
        """The picture's own bytes, as they were saved. UserError if there are none."""
        cell = _column(self.file, self.group, self.column)[self.row].as_py()
        found = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(found, bytes):
            raise UserError(f"{self} holds no picture")
        return found


Picture = Path | Embedded


@lru_cache(maxsize=4)
def _column(file: Path, group: int, column: str) -> Any:
    """One column of a row group; the last few are kept, for rows are read in order."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as table:
        return table.read_row_group(group, columns=[column]).column(0)


def read_picture(picture: Picture) -> UInt8[np.ndarray, "h w 3"]:
    """RGB uint8 (H, W, 3), upright. UserError if it is missing or cannot be read."""
    if isinstance(picture, Path):
        return read_image(picture)
    return read_image(picture.read(), name=f"image {picture}")


def read_picture_size(picture: Picture) -> tuple[int, int]:
    """(height, width) from the picture's head. UserError if it is missing or cannot be read."""
    file = picture if isinstance(picture, Path) else picture.read()
    return picture_size(file, name=f"image {picture}")


def picture_digest(picture: Picture) -> str | None:
    """sha256 of a picture's bytes; None where there is none that can be read."""
    if isinstance(picture, Embedded):
        return sha256(picture.read()).hexdigest()
    try:
        return sha256(read_bytes(picture)).hexdigest()
    except UserError:
        return None


@dataclass(frozen=True)
class Sample:
    """One edit that a data set asks for.

    task         id, words and category; `prompt` describes the result and `caption` the source,
                 "" and None where nobody wrote it down
    image        where the source is
    names        what its edit may be called, the surest first: POSIX paths below the folder of
                 edits, without suffix for any kind of picture, with one for that very file
    mask         where the edit belongs; None: nobody said
    target       what the edit should look like, where the data set shows it
    instruction  what an editor is told: "make it a dog"
    subsets      names of parts of the data set that results are also given for
    doubt        why this row is better left out, as its users found
    """

    task: EditTask
    image: Picture
    names: tuple[str, ...]
    mask: MaskSource | None = None
    target: Picture | None = None
    instruction: str = ""
    subsets: tuple[str, ...] = ()
    doubt: str = ""

    def read_mask(
        self, size: tuple[int, int], *, protocol: Rules = "strict"
    ) -> Bool[np.ndarray, "h w"] | None:
        """True where edited, at the image's (height, width); None where the task has no mask.

        Under `pie-bench` the outermost pixels count as edited. UserError for another size, and for
        a true box that leaves the image.
        """
        check_truth(self.task, size)
        if self.mask is None:
            return None
        try:
            mask = read_mask_of(self.mask, size)
        except ValueError as error:
            raise UserError(f"the mask of task {self.task.id!r}: {error}") from None
        if mask.shape != size:
            raise UserError(
                f"the mask of task {self.task.id!r} is {size_text(mask.shape)} but its image is "
                f"{size_text(size)}: nothing is resized here, make both one size"
            )
        return pie_bench.add_ring(mask) if protocol == "pie-bench" else mask

    def digest(self) -> str:
        """sha256 over all of it that can move a metric: words, and the contents of its files."""
        file = self.mask.path if isinstance(self.mask, Cutout) else self.mask
        mask = picture_digest(file) if isinstance(file, Path) else repr(file)
        target = None if self.target is None else picture_digest(self.target)
        words = (self.task.prompt, self.task.caption, self.task.source, self.instruction)
        return content_key(picture_digest(self.image), mask, target, words)

    @property
    def files(self) -> tuple[Path, ...]:
        """The data set's own files: no edit may be one of them."""
        mask = self.mask.path if isinstance(self.mask, Cutout) else self.mask
        return tuple(one for one in (self.image, self.target, mask) if isinstance(one, Path))


@dataclass(frozen=True)
class Dataset:
    """A data set's samples in its own order.

    metrics   of the suite, beside the default ones: what its published tables print
    networks  role -> (name, tag) of the networks that its published numbers were measured with
    notes     what a reader of the table must know about these files, a sentence each
    """

    kind: str
    samples: tuple[Sample, ...]
    metrics: tuple[str, ...] = ()
    networks: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[EditTask, ...]:
        """What is asked for, without where it lies."""
        return tuple(sample.task for sample in self.samples)


@runtime_checkable
class Adapter(Protocol):
    """Reads one kind of data set.

    Args:
        path: its folder, or the file that lists its samples.

    Returns:
        Its samples, in the order of its files. Nothing is decoded yet.

    Raises:
        UserError: what cannot be read, and where; a path that leaves the folder.
    """

    def __call__(self, path: Path, /) -> Dataset: ...
