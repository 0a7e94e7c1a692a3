"""results.json -> the sentences that the study supports, each with its paired 95% interval.

The words follow from the numbers: a difference is only called one where its interval leaves zero
out. Nothing here is written by hand for a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eval.metrics.registry import BY_KEY
from eval.report.tables import format_value


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
    Question(
        "Does a net across images beat the size that is best for all, before anything is painted?",
        "blind-128",
        "fixed-size",
        "amortised",
    ),
    Question("And one that sees the words?", "text-128", "fixed-size", "amortised"),
    Question(
        "And if it paints its likeliest box alone?", "text-128-top-1", "fixed-size", "amortised"
    ),
    Question("How far is the true box?", "ground-truth-box", "argmin-table", "regions"),
    Question("Is the release as good?", "released", "argmin-table", "editors"),
    Question("Is DiffEdit's box as good?", "diffedit-box", "argmin-table", "editors"),
    Question("Does painting every box beat a race?", "enumerate", "race", "modes"),
    Question("Does a race by the loss, not by S, do better?", "race-by-loss", "race", "modes"),
    Question("Do the source words find better anchors?", "relevance", "dino", "anchor-sources"),
    Question("Would one anchor from the words do?", "relevance", "dino", "first-anchors"),
    Question("Would random anchors do?", "random", "dino", "anchor-sources"),
    Question("Does noise of its own for every box matter?", "independent", "common", "noise"),
    Question("Is the thing alone the better prompt?", "object", "scene", "prompts"),
)
BETTER, WORSE, UNSEEN = "better on", "worse on", "no difference found on"
ASKED = ("success", "iou", "score_s")


def claims(results: dict[str, Any]) -> list[str]:
    """A Markdown bullet a question whose rows were run."""
    lines = []
    for question in QUESTIONS:
        found = _paired(results, question)
        asked = {key: found[key] for key in ASKED if key in found}
        if asked:
            rows = f"`{question.row}` against `{question.against}`"
            lines.append(f"- {question.asked} {rows}: {_sentence(asked)}.")
    return [*lines, *_where_random_wins(results)]


def _where_random_wins(results: dict[str, Any]) -> list[str]:
    """Every metric on which the baseline is better than the method, whatever was asked above."""
    method = results.get("method", {}).get("name")
    baseline = results.get("meta", {}).get("baseline")
    rows = results.get("paired", {}).get(baseline, {}).get(method)
    if not rows:
        return []
    known = {key: one for key, one in rows.items() if one.get("low") is not None}
    worse = {key: one for key, one in known.items() if _verdict(key, one) == WORSE}
    found = _sentence(worse) or "worse on no metric"
    return [f"- Where does random win? `{method}` against `{baseline}`: {found}."]


def _sentence(found: dict[str, dict[str, Any]]) -> str:
    """Metrics by verdict, the differences first."""
    groups: dict[str, list[str]] = {BETTER: [], WORSE: [], UNSEEN: []}
    for key, one in found.items():
        groups[_verdict(key, one)].append(_part(key, one))
    return "; ".join(f"{words} {', '.join(parts)}" for words, parts in groups.items() if parts)


def _verdict(key: str, one: dict[str, Any]) -> str:
    """A difference only where the interval leaves zero out, and one end is better."""
    better = BY_KEY[key].higher_is_better
    if better is None or one["low"] <= 0 <= one["high"]:
        return UNSEEN
    return BETTER if (one["low"] > 0) == better else WORSE


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
    points = " points" if measure.power == 2 else f" ×10^−{measure.power}" if measure.power else ""
    mean, low, high = (format_value(one[part], measure, sign=True) for part in
                       ("difference", "low", "high"))  # fmt: skip
    group = f"{measure.group} " if measure.group in ("CLIP", "Background", "Structure") else ""
    interval = f" [{low}, {high}]" if low != high else ""
    return f"{group}{measure.title} {mean}{points}{interval}"
