"""Any editor's results on a data set -> one value per image and metric, resumable.

    journal.jsonl    every value and what it was measured on (journal.py)
    per_image.csv    one per variant, task, seed and metric: columns of scores.py + identity
    evaluation.json  means, intervals and counts, and the networks and versions behind them
    table.md, .tex   the same for people and for a paper

A finished image is written at once, so that a killed run loses nothing; a row is measured again
only if what it was measured on has changed. Other variants and protocols in the folder are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from eval.external.pairs import UnusableEdit, compute_over_cores, read_ahead, read_pair
from eval.metrics.networks import Network
from eval.metrics.pair import Pair
from eval.metrics.regions import Protocol
from eval.metrics.suite import SUITE, measure
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
    """One sample, read: the metrics that its rows lack, and what they are measured on."""

    sample: Sample
    data: str
    edit: str | None
    todo: tuple[str, ...]
    pair: Pair | None
    source: str | None = None  # the digest of its picture, where the gallery lacks it
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
    models = {role: network.model for role, network in request.networks.items()}

    def prepare(sample: Sample) -> _Ready:
        path = found.found.get(sample.task.id)
        edit = request.edits / path if path else None
        return _prepare(
            request, sample, edit=edit, data=data[sample.task.id], journal=journal, gallery=gallery
        )

    def compute(one: _Ready) -> tuple[_Ready, dict[str, float]]:
        if one.pair is None:
            return one, dict.fromkeys(one.todo, nan)
        if gallery:
            _show(one, gallery)
        values = measure(one.pair, one.todo, networks=models, protocol=request.protocol)
        return replace(one, pair=None), values

    ready = read_ahead(samples, prepare)  # a network has all threads; pixels a thread an image
    done = map(compute, ready) if models else compute_over_cores(ready, compute)
    for one, values in track(done, f"evaluate {request.variant}", total=len(samples)):
        name = one.sample.task.id
        if one.why:
            unusable[name] = one.why
        if one.same:
            same.append(name)
        if one.changed:
            changed.append(name)
        _keep(request, journal, one=one, values=values)
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
        one = _Ready(sample, data[name], edit, tuple(values), None)
        _keep(request, journal, one=one, values=values)
    return found


def data_digests(dataset: Dataset) -> dict[str, str]:
    """Task id -> what its rows are measured on, the edit apart."""
    return {sample.task.id: sample.digest() for sample in dataset.samples}


def _prepare(
    request: Request,
    sample: Sample,
    *,
    edit: Path | None,
    data: str,
    journal: Journal,
    gallery: Gallery | None,
) -> _Ready:
    """What is to be measured, decoded. An edit that cannot be is said, not raised."""
    try:
        digest = edit_digest(edit) if edit else None
        todo = tuple(
            metric
            for metric in request.metrics
            if not journal.has(
                request.key(sample.task.id, metric),
                edit=digest,
                data=data,
                how=request.way_keys[metric],
            )
        )
        same = edit is not None and is_copy(edit, sample.image, digest=digest)
        before = {
            row.edit
            for metric in request.metrics
            if (row := journal.rows.get(request.key(sample.task.id, metric)))
        }
        source = picture_digest(sample.image) if gallery else None
        pair = None
        if edit and (todo or (gallery and (gallery.lacks(source) or gallery.lacks(digest)))):
            pair = read_pair(
                sample, edit, protocol=request.protocol, jpeg_75=request.jpeg_75,
                resize=request.resize,
            )  # fmt: skip
    except UnusableEdit as error:  # its row knows no edit, so that it is tried again
        return _Ready(sample, data, None, request.metrics, None, why=str(error))
    changed = digest is not None and bool(before - {digest, None})
    return _Ready(sample, data, digest, todo, pair, source, same=same, changed=changed)


def _show(one: _Ready, gallery: Gallery) -> None:
    """A pair that was decoded to be measured is shown by the same pixels."""
    if one.pair and one.source and one.edit:
        gallery.add(one.source, one.pair.source)
        gallery.add(one.edit, one.pair.edited if one.pair.saved is None else one.pair.saved)


def _keep(request: Request, journal: Journal, *, one: _Ready, values: Mapping[str, float]) -> None:
    """The rows of one image into the journal."""
    task = one.sample.task
    rows = {
        request.key(task.id, metric): Row(
            value, task.category, one.edit, one.data, request.way_keys[metric]
        )
        for metric, value in values.items()
    }
    if rows:
        journal.add(rows, {request.way_keys[metric]: request.ways[metric] for metric in values})
