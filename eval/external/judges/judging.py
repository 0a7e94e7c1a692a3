"""A folder of edits before a judge: every answer on disk as it comes, a value per edit at the end.

judgements.jsonl has a line an answer. An answer to the same question about the same pictures is not
asked for again, one that could not be read neither: it is missing, and counted.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev
from threading import Lock
from typing import Any

from filelock import FileLock

from eval.external.datasets import Sample
from eval.external.datasets.contract import picture_digest, read_picture
from eval.external.judges.ask import Ask
from eval.external.judges.rules import Question, Rule
from lr_edit.files import write_error
from lr_edit.types import Track
from lr_edit.workspace.pictures import read_image
from lr_edit.workspace.storage import content_key

FILE = "judgements.jsonl"


@dataclass(frozen=True)
class Judge:
    """Who judges, by which rule, how often.

    model        what the server was asked for, or the model on this machine
    passes       answers to every question, each with its own seed
    workers      questions that wait for an answer at one time
    weights      sha256 of a model on this machine; a server shows none
    """

    ask: Ask
    rule: Rule
    model: str
    temperature: float
    passes: int = 1
    workers: int = 8
    weights: str | None = None

    @property
    def way(self) -> dict[str, Any]:
        """All that may move an answer but pictures and words."""
        return {
            "rule": self.rule.name,
            "prompts": self.rule.digest,
            "model": self.model,
            "temperature": self.temperature,
            **({"weights": self.weights} if self.weights else {}),
        }


@dataclass(frozen=True)
class Verdicts:
    """What a judge gave a folder.

    values    task -> name of a value -> one a pass, NaN where an answer is missing
    missing   why an answer could not be read -> how many
    models    what the server said that it is
    """

    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    missing: Mapping[str, int]
    models: tuple[str, ...]
    answers: int

    def mean(self, task: str, name: str) -> float:
        """Over the passes that have a value; NaN where none has."""
        there = [value for value in self.values[task][name] if not math.isnan(value)]
        return fmean(there) if there else math.nan

    def spread(self, name: str) -> float | None:
        """Standard deviation, over passes, of the mean over edits; None for a single pass."""
        passes = zip(*(values[name] for values in self.values.values()), strict=True)
        means = [fmean(there) for one in passes
                 if (there := [value for value in one if not math.isnan(value)])]  # fmt: skip
        return stdev(means) if len(means) > 1 else None


@dataclass(frozen=True)
class _Case:
    """One question about one edit, in one pass; `key` is all that may move its answer."""

    sample: Sample
    edit: Path
    question: Question
    turn: int
    key: str


@dataclass
class _Record:
    """What is known of the answers: key -> line."""

    path: Path
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def read(self) -> None:
        for line in self.path.read_bytes().splitlines() if self.path.exists() else ():
            try:
                one = json.loads(line)
                self.lines[one["key"]] = one
            except (ValueError, KeyError, TypeError):
                continue  # a line that a kill cut short

    def add(self, line: dict[str, Any]) -> None:
        try:
            with FileLock(self.path.with_name(".lock")), self.path.open("ab") as file:
                file.write(b"\n" * bool(file.tell()) + json.dumps(line).encode())
        except OSError as error:
            raise write_error(self.path, error) from error
        self.lines[line["key"]] = line


def judge_edits(
    judge: Judge, edits: Iterable[tuple[Sample, Path]], *, folder: Path, track: Track
) -> Verdicts:
    """Ask for what is not known, and combine what is.

    Args:
        judge: who is asked.
        edits: tasks that have an edit, and the edit; both must have been read once.
        folder: where judgements.jsonl is.
        track: shows how far it is.

    Returns:
        A value a pass of every edit, and what is missing.

    Raises:
        Unreachable: the server stays silent; what it answered is kept.
        UserError: the server refuses for good.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = _Record(folder / FILE)
    record.read()
    cases = [case for sample, edit in edits for case in _cases(judge, sample, edit)]
    todo = [case for case in cases if case.key not in record.lines]
    lock = Lock()
    answers = _concurrently(todo, lambda case: _ask(judge, case, lock), workers=judge.workers)
    for line in track(answers, f"judge by {judge.model}", total=len(todo)):
        record.add(line)
    return _combine(judge, cases, record.lines)


def _cases(judge: Judge, sample: Sample, edit: Path) -> Iterator[_Case]:
    pictures = picture_digest(edit), picture_digest(sample.image)
    for turn in range(judge.passes):
        for question in judge.rule.questions:
            words = question.ask(sample.instruction or sample.task.prompt)
            key = content_key(judge.way, pictures, words, question.name, turn)
            yield _Case(sample, edit, question, turn, key)


def _ask(judge: Judge, case: _Case, lock: Any) -> dict[str, Any]:
    """One answer, with all that is known of it."""
    with lock:  # what is said of odd pictures is said by one thread at a time
        pictures = [read_image(case.edit)]
        if case.question.both:
            pictures.insert(0, read_picture(case.sample.image))
    words = case.question.ask(case.sample.instruction or case.sample.task.prompt)
    reply = judge.ask(pictures, words, seed=case.turn)
    answer = case.question.parse(reply.text)
    return {
        "key": case.key, "task": case.sample.task.id, "edit": str(case.edit),
        "question": case.question.name, "pass": case.turn, "served": reply.model,
        "scores": answer.scores, "why": answer.why, "text": reply.text, **judge.way,
    }  # fmt: skip


def _combine(
    judge: Judge, cases: Iterable[_Case], lines: Mapping[str, Mapping[str, Any]]
) -> Verdicts:
    """Answers -> values: of a pass whose questions all have an answer."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    missing: Counter[str] = Counter()
    models: dict[str, None] = {}
    answers = 0
    for case in cases:
        line = lines[case.key]
        answers += 1
        models[line["served"]] = None
        if line["scores"] is None:
            missing[line["why"]] += 1
        place = found.setdefault((case.sample.task.id, case.turn), {})
        place[case.question.name] = line["scores"]
    values: dict[str, dict[str, tuple[float, ...]]] = {}
    nothing = dict.fromkeys(judge.rule.values, math.nan)
    for (task, _), scores in found.items():
        one = nothing if None in scores.values() else judge.rule.combine(scores)
        own = values.setdefault(task, dict.fromkeys(judge.rule.values, ()))
        values[task] = {name: (*own[name], one[name]) for name in judge.rule.values}
    return Verdicts(values, dict(missing), tuple(models), answers)


def _concurrently(cases: Iterable[_Case], ask: Any, *, workers: int) -> Iterator[dict[str, Any]]:
    """Answers as they come, with no more questions open than there are workers.

    Where one fails, those that are open are waited for and given first.
    """
    source = iter(cases)
    with ThreadPoolExecutor(workers) as pool:
        open_: set[Future[dict[str, Any]]] = {pool.submit(ask, c) for c in islice(source, workers)}
        failed: Exception | None = None
        while open_:
            done, open_ = wait(open_, return_when=FIRST_COMPLETED)
            for one in done:
                try:
                    yield one.result()
                except Exception as error:
                    failed = failed or error
            if failed is None:
                open_ |= {pool.submit(ask, case) for case in islice(source, len(done))}
        if failed is not None:
            raise failed
