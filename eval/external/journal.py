"""The rows of a folder of results, each with all that moved its value; nothing in it is ever lost.

journal.jsonl has a line per image, on disk as soon as it is measured, and a line for each way of
measuring. Several processes may write one folder: every line is appended under a lock, and who
finishes reads what all have written. A line that a kill cut short is measured again, and so is a
row that is not what its seal says.
"""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eval.metrics.suite import JUDGED, SUITE, find_measure
from eval.study.scores import COLUMNS, value_cell
from lr_edit.errors import Notice, UserError
from lr_edit.files import atomic_write
from lr_edit.workspace.inert import csv_row
from lr_edit.workspace.storage import content_key

FILE, TABLE = "journal.jsonl", "per_image.csv"
WRITTEN = ("evaluation.json", "table.md", "table.tex", "index.html")  # beside them
_FIRST = b'{"how": "'  # how the first line begins, be it cut short
Key = tuple[str, str, str, str, str]  # variant, task, seed, metric, protocol


@dataclass(frozen=True)
class Row:
    """One value and what it was measured on.

    edit  sha256 of the edited picture; None where there is none
    data  `Sample.digest`: source, mask, target and words
    how   digest of the way of measuring: `Journal.ways` says it in words
    """

    value: float
    category: str
    edit: str | None
    data: str
    how: str

    @property
    def identity(self) -> str:
        """Rows compare with rows of the same: all that may move a value but the edit."""
        return content_key(self.data, self.how)[:12]


class Journal:
    """The rows of a folder, appended image by image.

    UserError where the folder cannot be written, or holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[Key, Row] = {}
        self.ways: dict[str, dict[str, Any]] = {}
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                self._check_table()
                self._read()

    def has(self, key: Key, *, edit: str | None, data: str, how: str) -> bool:
        """Whether the row is there and was measured on the same, in the same way."""
        row = self.rows.get(key)
        return row is not None and (row.edit, row.data, row.how) == (edit, data, how)

    def add(self, rows: Mapping[Key, Row], ways: Mapping[str, Mapping[str, Any]]) -> None:
        """The rows of one image and how they were measured: on disk when this returns."""
        lines = [{"how": name, "is": dict(way)} for name, way in ways.items()
                 if name not in self.ways]  # fmt: skip
        lines += [{"key": key, "row": _as_json(key, row)} for key, row in rows.items()]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with self._writing(), self._lock(), (self.folder / FILE).open("ab+") as file:
            if file.tell() and not self._ends_well(file):
                file.write(b"\n")  # a kill cut the last line short
            file.write(text.encode())
        self.rows.update(rows)
        self.ways.update({name: dict(way) for name, way in ways.items()})

    @contextmanager
    def finished(self) -> Iterator[None]:
        """Around what is made of all rows: nobody else writes, and every process's rows are here.

        per_image.csv is written first, and the journal without lines that were replaced.
        """
        with self._writing(), self._lock():
            self._read()
            used = {row.how for row in self.rows.values()}
            lines = [{"how": name, "is": way} for name, way in self.ways.items() if name in used]
            lines += [{"key": key, "row": _as_json(key, row)} for key, row in self.rows.items()]
            with atomic_write(self.folder / FILE) as part:
                part.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
            self._write_table()
            yield

    def _write_table(self) -> None:
        with atomic_write(self.folder / TABLE) as part, \
             part.open("w", newline="", encoding="utf-8") as file:  # fmt: skip
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow((*COLUMNS, "identity"))
            for key, row in self.rows.items():
                variant, task, seed, metric, protocol = key
                region = find_measure(metric).region if metric in {**SUITE, **JUDGED} else ""
                cells = (variant, task, row.category, seed, metric, region, protocol)
                writer.writerow(csv_row((*cells, *value_cell(row.value), row.identity)))

    def _check_table(self) -> None:
        """A table that this journal did not write is no table of ours, or an older one's."""
        table = self.folder / TABLE
        if (self.folder / FILE).exists():
            return
        if not table.exists():
            places = (self.folder / name for name in WRITTEN)
            if theirs := next((place for place in places if place.exists()), None):
                raise UserError(f"{theirs} is not of an evaluation: choose another --out")
            return
        with table.open(newline="", encoding="utf-8", errors="replace") as file:
            head = next(csv.reader(file), [])
        if tuple(head[: len(COLUMNS)]) != COLUMNS:
            raise UserError(f"{table} holds no per-image scores: choose another --out")
        kept = next(
            p for n in range(10**6) if not (p := self.folder / f"per_image.{n}.csv").exists()
        )
        table.rename(kept)  # rows of an older version: nobody knows what they were measured on

    def _read(self) -> None:
        place, known, lost, altered, theirs = self.folder / FILE, 0, 0, 0, False
        for line in place.read_bytes().splitlines() if place.exists() else ():
            try:
                one = json.loads(line)
                if "how" in one:
                    self.ways[one["how"]] = one["is"]
                else:
                    variant, task, seed, metric, protocol = one["key"]
                    key = variant, task, seed, metric, protocol
                    known += 1
                    row = _from_json(key, one["row"])
                    altered += row is None
                    self.rows |= {key: row} if row else {}
                    continue
                known += 1
            except (ValueError, TypeError, KeyError, RecursionError):
                lost += 1  # a line that a kill cut short
                theirs = theirs or not (line.startswith(_FIRST) or _FIRST.startswith(line))
        if lost and not known and (theirs or lost > 1):
            raise UserError(f"{place} is no journal of an evaluation: choose another --out")
        if altered:
            warnings.warn(f"{place}: {altered} rows are not what was measured: measured again",
                          Notice, stacklevel=3)  # fmt: skip

    @staticmethod
    def _ends_well(file: Any) -> bool:
        file.seek(-1, 2)
        return bool(file.read(1) == b"\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One evaluation of a folder at a time, so that its tables hold all of its rows; another
        one is waited for, which is said."""
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".evaluate.lock")
            try:
                lock.acquire(timeout=1)
            except Timeout:
                warnings.warn(f"another evaluation writes to {self.folder}: waiting for it",
                              Notice, stacklevel=3)  # fmt: skip
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written ({error}): choose another --out"
            ) from None


def _as_json(key: Key, row: Row) -> list[Any]:
    """JSON has no NaN and no inf; the seal comes last."""
    value = (
        None if math.isnan(row.value) else str(row.value) if math.isinf(row.value) else row.value
    )
    cells = [value, row.category, row.edit, row.data, row.how]
    return [*cells, _seal(key, cells)]


def _from_json(key: Key, cells: list[Any]) -> Row | None:
    """None where the seal is not that of the cells; rows of older versions have none."""
    if len(cells) > 5 and cells.pop() != _seal(key, cells):
        return None
    value, category, edit, data, how = cells
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has no NaN and no inf")
    return Row(math.nan if value is None else float(value), category, edit, data, how)


def _seal(key: Key, cells: list[Any]) -> str:
    return content_key([key, cells])[:12]
