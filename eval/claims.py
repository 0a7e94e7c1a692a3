"""results.json -> the sentences that the study supports, each with its paired 95% interval.

The words follow from the numbers: a difference is only called one where its interval leaves zero
out. Nothing here is written by hand for a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eval.conventions import BY_KEY
from eval.tables import shown


@dataclass(frozen=True)
class Question:
    """One comparison: `row` against what its group, or the table, is compared with."""

    asked: str
    row: str
    against: str
    group: str | None = None  # of the ablations; None: the main table


QUESTIONS = (
    Question("Does learning where to edit help?", "learned", "dino-random-size"),
    Question("Does training the net matter?", "none", "exact", "learners"),
    Question(
        "Does a net add to its own table, for one image?", "argmin-table", "exact", "learners"
    ),
    Question(
        "Does picking at random, nine of the bank by S, do worse?",
        "random-9",
        "argmin-table",
        "budget",
    ),
    Question("Does one size everywhere do worse?", "fixed-medium", "argmin-table", "regions"),
    Question(
        "Does ranking by the loss, not by S, do better?", "ranked-by-loss", "all-three", "losses"
    ),
    Question("How far is the true box?", "ground-truth-box", "argmin-table", "regions"),
)
ASKED = ("success", "iou", "score_s")


def claims(results: dict[str, Any]) -> list[str]:
    """A Markdown bullet a question whose rows were run."""
    lines = []
    for question in QUESTIONS:
        found = _paired(results, question)
        parts = [_part(key, found[key]) for key in ASKED if key in found]
        if parts:
            rows = f"`{question.row}` against `{question.against}`"
            lines.append(f"- {question.asked} {rows}: {'; '.join(parts)}.")
    return lines


def _paired(results: dict[str, Any], question: Question) -> dict[str, dict[str, Any]]:
    """Metric -> paired difference with its interval, where there is one."""
    if question.group is None:
        found = results.get("paired", {}).get(question.against, {}).get(question.row, {})
    else:
        rows = results.get("ablations", {}).get(question.group, {})
        reference = rows.get(question.against)
        if not reference or any("paired" in one for one in reference.values()):
            return {}  # the group is compared with another row
        found = {key: one.get("paired") or {} for key, one in rows.get(question.row, {}).items()}
    return {key: one for key, one in found.items() if one.get("low") is not None}


def _part(key: str, one: dict[str, Any]) -> str:
    measure = BY_KEY[key]
    points = " points" if measure.power == 2 else ""
    mean, low, high = (shown(one[part], measure, sign=True) for part in
                       ("difference", "low", "high"))  # fmt: skip
    verdict = "no difference found"
    if one["low"] > 0 or one["high"] < 0:
        verdict = "higher" if one["low"] > 0 else "lower"
    return f"{measure.title} {mean}{points} [{low}, {high}], {verdict}"
