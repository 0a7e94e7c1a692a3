"""Any editor's results on a data set -> one value per image and metric, resumable.

    journal.jsonl    every value and what it was measured on (journal.py)
    per_image.csv    one per variant, task, seed and metric: columns of scores.py + identity
    evaluation.json  means, intervals and counts, and the networks and versions behind them
    table.md, .tex   the same for people and for a paper

A finished image is written at once, so that a killed run loses nothing; a row is measured again
only if what it was measured on has changed. Other variants and protocols in the folder are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

from eval.external.datasets import Dataset, Sample
from eval.external.datasets.contract import picture_digest
from eval.external.edits import edit_digest, find_edits, is_copy
from eval.external.gallery import Gallery
from eval.external.identity import describe_way, way_key
from eval.external.journal import Journal, Key, Row
from eval.external.judges.judging import Judge, Verdicts, judge_edits
from eval.external.matching import Matching
from eval.external.measuring import Measurer, Work, measure_all
from eval.external.pairs import UnusableEdit
from eval.metrics.networks import Network
from eval.metrics.regions import Protocol
from eval.metrics.suite import SUITE
from lr_edit.errors import UserError
from lr_edit.types import Track


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
    resize: bool = False
    judge: Judge | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics, and what a judge gives."""
        return self.metrics + (tuple(self.judge.rule.values) if self.judge else ())

    @cached_property
    def ways(self) -> dict[str, dict[str, Any]]:
        """Metric -> how it is measured here."""
        options = {"jpeg_75": self.jpeg_75, "resize": self.resize}
        judged = {
            name: {"metric": name, "protocol": self.protocol, "judge": self.judge.way,
                   "passes": self.judge.passes}
            for name in self.judge.rule.values
        } if self.judge else {}  # fmt: skip
        return judged | {
            metric: describe_way(
                metric, network=self.networks.get(SUITE[metric].role or ""),
                protocol=self.protocol, options=options,
            )
            for metric in self.metrics
        }  # fmt: skip

    @cached_property
    def way_keys(self) -> dict[str, str]:
        """Metric -> the digest of how it is measured."""
        return {metric: way_key(way) for metric, way in self.ways.items()}

    def key(self, task: str, metric: str) -> Key:
        """What names a row."""
        return self.variant, task, self.seed, metric, self.protocol


@dataclass(frozen=True)
class Outcome:
    """What a folder's evaluation left open.

    unusable  task -> why its edit could not be measured
    same      tasks whose edit is its source, byte by byte
    changed   tasks whose edit is another than the table had, and was measured anew
    """

    matching: Matching
    unusable: Mapping[str, str] = field(default_factory=dict)
    same: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Tasks without a value."""
        return (*self.matching.missing, *self.unusable)


@dataclass(frozen=True)
class _Ready:
    """One sample: what is to be measured, and what it will have been measured on."""

    work: Work
    data: str
    edit: str | None
    why: str | None = None
    same: bool = False
    changed: bool = False


def evaluate_folder(
    request: Request,
    journal: Journal,
    *,
    track: Track,
    data: Mapping[str, str] | None = None,
    gallery: Gallery | None = None,
) -> Outcome:
    """Measure what the journal lacks.

    Args:
        request: what is measured.
        journal: where the rows go; each is on disk when the next image begins.
        track: shows how far it is.
        data: task id -> `Sample.digest()`, where the caller has them.
        gallery: where the pictures that are measured are shown.

    Raises:
        UserError: no edit at all, none that can be measured, edits that could belong to several
            tasks, a source or mask that cannot be read.
    """
    found = find_edits(request.dataset, request.edits)
    samples = request.dataset.samples
    data = data if data is not None else data_digests(request.dataset)
    unusable, same, changed = dict[str, str](), list[str](), list[str]()
    ready: list[_Ready] = []

    def prepare() -> Iterator[Work]:
        for at, sample in enumerate(samples):
            path = found.found.get(sample.task.id)
            edit = request.edits / path if path else None
            own = data[sample.task.id]
            ready.append(_prepare(request, sample, at=at, edit=edit, data=own, journal=journal,
                                  gallery=gallery))  # fmt: skip
            yield ready[-1].work

    measurer = Measurer(
        request.protocol, request.jpeg_75, request.resize, gallery,
        {role: network.model for role, network in request.networks.items()},
    )  # fmt: skip
    done = measure_all(measurer, prepare(), count=len(samples))
    for made in track(done, f"evaluate {request.variant}", total=len(samples)):
        one = ready[made.at]
        name = one.work.sample.task.id
        if why := one.why or made.why:  # its rows know no edit, so that it is tried again
            unusable[name] = why
            one = replace(one, edit=None, same=False, changed=False)
            made = replace(made, values=dict.fromkeys(request.metrics, nan))
        if one.same:
            same.append(name)
        if one.changed:
            changed.append(name)
        _keep(request, journal, one=one, values=made.values)
    if unusable and len(unusable) == len(found.found):
        raise UserError(next(iter(unusable.values())))
    return Outcome(found, unusable, tuple(same), tuple(changed))


def judge_folder(
    request: Request, journal: Journal, *, outcome: Outcome, data: Mapping[str, str], track: Track
) -> Verdicts:
    """Ask the request's judge about every edit that can be read; its values join the journal.

    Args:
        request: holds a judge.
        journal: where the values go, and beside which the answers are kept.
        outcome: what `evaluate_folder` left open.
        data: task id -> `Sample.digest()`.
        track: shows how far it is.

    Raises:
        Unreachable: the server stays silent; what it answered is kept.
    """
    assert request.judge is not None
    edits = {
        sample.task.id: (sample, request.edits / outcome.matching.found[sample.task.id])
        for sample in request.dataset.samples
        if sample.task.id in outcome.matching.found and sample.task.id not in outcome.unusable
    }
    found = judge_edits(request.judge, edits.values(), folder=journal.folder, track=track)
    for sample in request.dataset.samples:
        name = sample.task.id
        edit = picture_digest(edits[name][1]) if name in edits else None
        values = {
            value: found.mean(name, value) if name in found.values else nan
            for value in request.judge.rule.values
        }
        one = _Ready(Work(0, sample, None, ()), data[name], edit)
        _keep(request, journal, one=one, values=values)
    return found


def data_digests(dataset: Dataset) -> dict[str, str]:
    """Task id -> what its rows are measured on, the edit apart."""
    return {sample.task.id: sample.digest() for sample in dataset.samples}


def _prepare(
    request: Request, sample: Sample, *, at: int, edit: Path | None, data: str, journal: Journal,
    gallery: Gallery | None,
) -> _Ready:  # fmt: skip
    """What is to be measured, by the files' bytes. An edit that cannot be is said, not raised."""
    try:
        digest = edit_digest(edit) if edit else None
    except UnusableEdit as error:
        return _Ready(Work(at, sample, None, ()), data, None, str(error))
    keys = {metric: request.key(sample.task.id, metric) for metric in request.metrics}
    todo = tuple(
        metric
        for metric, key in keys.items()
        if not journal.has(key, edit=digest, data=data, how=request.way_keys[metric])
    )
    shown = None
    if gallery and digest and (source := picture_digest(sample.image)):
        shown = (source, digest) if gallery.lacks(source) or gallery.lacks(digest) else None
    known = {metric: row for metric, key in keys.items() if (row := journal.rows.get(key))}
    ready = _Ready(
        Work(at, sample, edit, todo, shown), data, digest,
        same=edit is not None and is_copy(edit, sample.image, digest=digest),
        changed=digest is not None and bool({row.edit for row in known.values()} - {digest, None}),
    )  # fmt: skip
    moved = {metric: row.value for metric, row in known.items()
             if metric not in todo and row.category != sample.task.category}  # fmt: skip
    _keep(request, journal, one=ready, values=moved)  # a category is a name: nothing is measured
    return ready


def _keep(request: Request, journal: Journal, *, one: _Ready, values: Mapping[str, float]) -> None:
    """The rows of one image into the journal."""
    task = one.work.sample.task
    rows = {
        request.key(task.id, metric): Row(
            value, task.category, one.edit, one.data, request.way_keys[metric]
        )
        for metric, value in values.items()
    }
    if rows:
        journal.add(rows, {request.way_keys[metric]: request.ways[metric] for metric in values})
