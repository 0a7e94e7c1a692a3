"""How far a judge can be trusted: its scores of right against wrong edits of the same drawn task.

The drawn world knows which edit is right. For every task the share of its wrong edits that score
below the right one, ties counted half, is the AUROC of that task; a category's is the mean over its
tasks, with a bootstrap interval over them. 1 tells right from wrong always, 0.5 never.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from eval.external.datasets import Sample
from eval.external.judges.judging import Judge, judge_edits
from eval.metrics.clip import Embedder, clip_similarity
from eval.metrics.pair import as_tensor
from eval.metrics.success import LabelJudge, edit_success
from eval.statistics import RESAMPLES, estimate
from lr_edit.picturebook.exam import Exam, draw_exam
from lr_edit.types import Track
from lr_edit.workspace.pictures import write_image

CATEGORIES = ("replace", "recolour", "remove", "add")
Scores = dict[str, dict[str, float]]  # task -> name of an edit, `right` among them -> its score


def draw_exams(count: int) -> list[Exam]:
    """So many tasks of every category."""
    return [draw_exam(category, at) for category in CATEGORIES for at in range(count)]


def score_by_clip(exams: Sequence[Exam], *, model: Embedder) -> Scores:
    """100 cos(edit, prompt): what most tables call CLIP similarity."""

    def score(exam: Exam, picture: np.ndarray) -> float:
        return float(clip_similarity(as_tensor(picture), [exam.task.prompt], model=model).item())

    return _score(exams, score)


def score_by_labels(exams: Sequence[Exam], *, judge: LabelJudge) -> Scores:
    """1 where the label judge of the drawn world calls the edit a success, else 0."""

    def score(exam: Exam, picture: np.ndarray) -> float:
        (verdict,) = edit_success(
            as_tensor(exam.source), as_tensor(picture), boxes=[exam.box], truth=exam.task.truth,
            words=exam.task.source, judge=judge,
        )  # fmt: skip
        return verdict.success

    return _score(exams, score)


def score_by_asking(exams: Sequence[Exam], *, judge: Judge, folder: Path, track: Track) -> Scores:
    """What a vision-language judge gives; pictures and answers are kept in `folder`."""
    value = list(judge.rule.values)[-1]
    samples = {}
    for exam in exams:
        source = folder / "exam" / exam.task.id / exam.task.category / "source.png"
        write_image(source, exam.source)
        for name, picture in _edits(exam).items():
            write_image(source.with_name(f"{name}.png"), picture)
            key = f"{_name(exam)}/{name}"
            task = replace(exam.task, id=key)
            instruction = f"turn this picture into: {exam.task.prompt}"
            samples[key] = (
                Sample(task, source, (key,), instruction=instruction),
                source.with_name(f"{name}.png"),
            )
    found = judge_edits(judge, samples.values(), folder=folder, track=track)
    return {
        _name(exam): {name: found.mean(f"{_name(exam)}/{name}", value) for name in _edits(exam)}
        for exam in exams
    }


def summarise_audit(
    exams: Sequence[Exam], scores: Scores, *, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """AUROC with its interval, of every category and of all, and by kind of wrong edit.

    Args:
        exams: what was judged.
        scores: of one judge; NaN where it gave none: that edit is left out, and counted.
        resamples: of every interval.
    """
    kinds = np.array([exam.task.category for exam in exams])
    tasks = np.array([auroc(scores[_name(exam)]) for exam in exams])
    missing = sum(math.isnan(v) for exam in exams for v in scores[_name(exam)].values())
    parts = {"all": tasks} | {kind: tasks[kinds == kind] for kind in dict.fromkeys(kinds.tolist())}
    wrong = {
        name: np.array([auroc({k: v for k, v in scores[_name(e)].items() if k in ("right", name)})
                        for e in exams])
        for name in exams[0].wrong
    }  # fmt: skip
    return {
        "categories": {name: asdict(estimate(v, resamples=resamples)) for name, v in parts.items()},
        "wrong": {name: asdict(estimate(v, resamples=resamples)) for name, v in wrong.items()},
        "missing": missing,
    }


def auroc(scores: Mapping[str, float]) -> float:
    """Share of the wrong edits below the right one, ties half; NaN without a right or a wrong one.

    Example:
        >>> auroc({"right": 2.0, "nothing": 1.0, "other": 2.0})
        0.75
    """
    right = scores.get("right", math.nan)
    wrong = [v for name, v in scores.items() if name != "right" and not math.isnan(v)]
    if math.isnan(right) or not wrong:
        return math.nan
    return float(np.mean([1.0 if right > v else 0.5 if right == v else 0.0 for v in wrong]))


def _score(exams: Sequence[Exam], score: Callable[[Exam, np.ndarray], float]) -> Scores:
    with torch.no_grad():
        return {
            _name(exam): {name: score(exam, picture) for name, picture in _edits(exam).items()}
            for exam in exams
        }


def _edits(exam: Exam) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    return {"right": exam.right, **exam.wrong}


def _name(exam: Exam) -> str:
    """One name per exam: numbers begin anew in every category."""
    return f"{exam.task.category}-{exam.task.id}"


def read_task_count(found: Mapping[str, Any]) -> int | None:
    """How many tasks of every category an audit has; None where it has none."""
    for row in found.values():
        for name, cell in row["categories"].items():
            if name != "all":
                return int(cell["n"] + cell["missing"])
    return None


def is_audit(found: Any) -> bool:
    """Whether a JSON file's values are what `audit-judge` writes."""
    rows = found.values() if isinstance(found, dict) else [None]
    return all(isinstance(row, dict) and "categories" in row for row in rows)
