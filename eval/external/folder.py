"""Any editor's results on a dataset -> one value an image and metric, resumable, and their means.

    per_image.csv    a row a variant, task, seed and metric, in the columns of scores.py
    digests.jsonl    what those rows were measured on: the edit, its source, mask, words, network
    evaluation.json  means, intervals and counts, and the networks and versions behind them
    table.md, .tex   the same for people and for a paper

A finished image is written at once, so that a killed run loses nothing; a row is measured again
only if what it was measured on has changed. Other variants and protocols in the folder are kept.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.external.datasets import Dataset
from eval.external.mask_files import size_text
from eval.metrics import pie_bench
from eval.metrics.networks import Network
from eval.metrics.regions import Protocol
from eval.metrics.suite import SUITE, Pair, measure
from eval.study.scores import COLUMNS, value_cell, write_rows
from lr_edit.errors import UserError
from lr_edit.types import EditTask, Track
from lr_edit.workspace.storage import atomic_write, content_key, folder_digest, read_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
Key = tuple[str, str, str, str, str]  # variant, task, seed, metric, protocol


@dataclass(frozen=True)
class Request:
    """What is measured, how, and under which name. `networks` holds the roles that metrics need."""

    dataset: Dataset
    edits: Path
    variant: str
    metrics: tuple[str, ...]
    protocol: Protocol
    networks: Mapping[str, Network]
    seed: str = "0"
    jpeg_75: bool = False


class Journal:
    """The rows of a folder and what they were measured on, appended image by image."""

    def __init__(self, folder: Path) -> None:
        self._rows, self._digests = folder / "per_image.csv", folder / "digests.jsonl"
        self.rows: dict[Key, list[str]] = {}
        self._on: dict[Key, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._read()
            self.write(self.rows)
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error}): choose another --out") from None

    def has(self, key: Key, digest: str) -> bool:
        """Whether the row is there and was measured on the same."""
        return self._on.get(key) == digest

    def add(self, rows: Sequence[list[str]], digests: Sequence[str]) -> None:
        """The rows of one image: on disk when this returns, and half of them never."""
        keys = [_key(row) for row in rows]
        with self._rows.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        with self._digests.open("a") as file:  # last: rows without a digest are measured again
            file.writelines(json.dumps([*k, d]) + "\n" for k, d in zip(keys, digests, strict=True))
        self.rows.update(zip(keys, rows, strict=True))
        self._on.update(zip(keys, digests, strict=True))

    def write(self, order: Iterable[Key]) -> None:
        """Both files anew, in this order, without rows that were replaced or cut short."""
        self.rows = {key: self.rows[key] for key in order if key in self._on}
        write_rows(self._rows, self.rows.values())
        lines = (json.dumps([*key, self._on[key]]) + "\n" for key in self.rows)
        with atomic_write(self._digests) as part:
            part.write_text("".join(lines))

    def _read(self) -> None:
        if not self._rows.exists():
            return
        with self._rows.open(newline="") as file:
            header, *lines = [*csv.reader(file)] or [[]]
        if tuple(header) != COLUMNS:
            raise UserError(f"{self._rows} holds no per-image scores: choose another --out")
        self.rows = {_key(line): line for line in lines if len(line) == len(COLUMNS)}
        for text in self._digests.read_text().splitlines() if self._digests.exists() else ():
            try:
                variant, task, seed, metric, protocol, digest = json.loads(text)
            except ValueError:
                continue  # a line that a kill cut short
            key = (variant, task, seed, metric, protocol)
            if key in self.rows:
                self._on[key] = digest


def evaluate_folder(request: Request, journal: Journal, *, track: Track) -> list[str]:
    """Measure what the journal lacks; returns the tasks that have no edit.

    UserError if there is no edit at all, or sizes differ.
    """
    tasks = request.dataset.tasks
    found = find_edits(request)
    if not any(found.values()):
        raise UserError(
            f"{request.edits} holds no edit of the {len(tasks)} tasks: name the files as the images"
        )
    for task in track(tasks, f"evaluate {request.variant}", total=len(tasks)):
        digests = row_digests(request, task, edit=found[task.id])
        todo = [
            m for m, d in digests.items() if not journal.has(row_key(request, task, metric=m), d)
        ]
        if not todo:
            continue
        path = found[task.id]
        values = dict.fromkeys(todo, float("nan"))
        if path is not None:
            models = {role: network.model for role, network in request.networks.items()}
            pair = read_pair(request, task, path=path)
            values = measure(pair, todo, networks=models, protocol=request.protocol)
        rows = [_row(request, task, metric, value) for metric, value in values.items()]
        journal.add(rows, [digests[metric] for metric in values])
    mine = {row_key(request, task, metric=m): None for task in tasks for m in request.metrics}
    journal.write([*(key for key in journal.rows if key not in mine), *mine])
    return [name for name, path in found.items() if path is None]


def find_edits(request: Request) -> dict[str, Path | None]:
    """Task id -> its edit: a file at the image's path, or named after the task or the image.

    An image of several tasks names none of them. UserError where two files fit.
    """
    tasks, folder = request.dataset.tasks, request.edits
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of edits")
    shared = Counter(task.image for task in tasks)
    found: dict[str, Path | None] = {}
    for task in tasks:
        names = [task.id]
        if shared[task.image] == 1:
            names = [task.image.with_suffix("").as_posix(), task.id, task.image.stem]
        exact = folder / task.image
        if shared[task.image] == 1 and exact.is_file():
            found[task.id] = exact
            continue
        fitting = [[p for s in SUFFIXES if (p := folder / f"{n}{s}").is_file()] for n in names]
        first = next((paths for paths in fitting if paths), [])
        if len(first) > 1:
            raise UserError(f"two edits of task {task.id!r}: {first[0]} and {first[1].name}")
        found[task.id] = first[0] if first else None
    return found


def read_pair(request: Request, task: EditTask, *, path: Path) -> Pair:
    """The source, its edit as the protocol takes it, and the mask. UserError if sizes differ."""
    dataset, protocol = request.dataset, request.protocol
    source, edited = read_image(dataset.folder / task.image), read_image(path)
    if protocol == "pie-bench" and edited.shape != source.shape:
        edited = pie_bench.strip_square(edited)
    if request.jpeg_75:
        edited = pie_bench.jpeg_75(edited)
    check_sizes(source, edited, path=path)
    return Pair(
        source,
        edited,
        dataset.mask(task, source.shape[:2], protocol=protocol),
        task.prompt,
        task.caption or task.source or None,
    )


def check_sizes(source: np.ndarray, edited: np.ndarray, *, path: Path) -> None:
    """UserError unless both pictures have one size."""
    if source.shape != edited.shape:
        raise UserError(
            f"{path} is {size_text(edited.shape)} but its source is {size_text(source.shape)}: "
            "nothing is resized here, save it at its source's size"
        )


def row_digests(request: Request, task: EditTask, *, edit: Path | None) -> dict[str, str]:
    """Metric -> what its row would be measured on."""
    source, mask = request.dataset.folder / task.image, request.dataset.masks.get(task.id)
    file = getattr(mask, "path", mask)
    of_mask = folder_digest(file) if isinstance(file, Path) and file.is_file() else repr(mask)
    common = [
        edit and folder_digest(edit), folder_digest(source) if source.is_file() else None, of_mask,
        task.prompt, task.caption, task.source, request.jpeg_75,
    ]  # fmt: skip
    digests = {}
    for metric in request.metrics:
        role = SUITE[metric].role
        digests[metric] = content_key(common, request.networks[role].digest if role else None)
    return digests


def row_key(request: Request, task: EditTask, *, metric: str) -> Key:
    """What names a row."""
    return request.variant, task.id, request.seed, metric, request.protocol


def _key(row: Sequence[str]) -> Key:
    line = dict(zip(COLUMNS, row, strict=True))
    return line["variant"], line["task"], line["seed"], line["metric"], line["protocol"]


def _row(request: Request, task: EditTask, metric: str, value: float) -> list[Any]:
    text, status = value_cell(value)
    region = SUITE[metric].measure.region
    return [
        request.variant, task.id, task.category, request.seed, metric, region, request.protocol,
        text, status,
    ]  # fmt: skip
