"""results.json -> the sentences that the study supports, each with its paired 95% interval.

The words follow from the numbers: a difference is only called one where its interval leaves zero
out, and both sides say what they cost. Nothing here is written by hand for a result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eval.metrics.registry import BY_KEY
from eval.report.tables import format_value
from lr_edit.config import Config


@dataclass(frozen=True)
class Question:
    """One comparison: `row` against what its group, or the table, is compared with; `leads` where
    README says it too."""

    words: str
    row: str
    against: str
    group: str | None = None  # of the ablations; None: the main table
    leads: bool = False


@dataclass(frozen=True)
class Claim:
    """A question and what was found, each a sentence of plain text."""

    question: str
    finding: str
    leads: bool

    @property
    def text(self) -> str:
        """Both."""
        return f"{self.question} {self.finding}"


QUESTIONS = (
    Question("Does learning where to edit help?", "learned", "dino-random-size", leads=True),
    Question("Does training the net matter?", "none", "exact", "learners"),
    Question(
        "Does a net add to its own table, for one image?", "argmin-table", "exact", "learners"
    ),
    Question(
        "Does picking at random, best of nine by S, do worse?",
        "random-9",
        "argmin-table",
        "budget",
    ),
    Question("Does one size everywhere do worse?", "fixed-medium", "argmin-table", "regions"),
    Question(
        "Is a learned size as good as one box that CLIP finds by the words?",
        "learned",
        "grounded-1",
        "grounded",
    ),
    Question("And the best of five such boxes?", "grounded-5", "grounded-1", "grounded"),
    Question(
        "Does a dataset-level net add to one such box, by choosing among two and their growth?",
        "grown-text-1024",
        "grounded-1",
        "grounded",
    ),
    Question("And one net per image?", "grown-learned", "grounded-1", "grounded"),
    Question("Do squares do, found by hiding them alone?", "occlusion-5", "grounded-5", "default"),
    Question(
        "Is a learned size as good as a supervised detector's box?",
        "learned",
        "detected",
        "baselines",
        leads=True,
    ),
    Question("Are boxes that CLIP finds as good?", "grounded-5", "detected", "baselines"),
    Question(
        "Does an editor that needs no region do as well?",
        "instructed",
        "detected",
        "baselines",
    ),
    Question("Does the CLIP loss alone do as well as all three?", "clip", "all-three", "losses"),
    Question("And the directional loss alone?", "directional", "all-three", "losses"),
    Question("And the structure loss alone?", "structure", "all-three", "losses", leads=True),
    Question("Is the structure loss needed?", "without-structure", "all-three", "losses"),
    Question(
        "Does ranking by the loss, not by S, do better?",
        "ranked-by-loss",
        "all-three",
        "losses",
    ),
    Question(
        "Does a dataset-level net beat one size for all, before anything is inpainted?",
        "blind-128",
        "fixed-size",
        "amortised",
    ),
    Question("And one that reads the words?", "text-128", "fixed-size", "amortised"),
    Question(
        "And if only its top box is inpainted?",
        "text-128-top-1",
        "fixed-size",
        "amortised",
        leads=True,
    ),
    Question("How far is the true box?", "ground-truth-box", "argmin-table", "regions"),
    Question(
        "And from the best of five boxes that CLIP finds?",
        "ground-truth-box",
        "grounded-5",
        "default",
    ),
    Question(
        "And from a supervised detector's box, which is the default?",
        "ground-truth-box",
        "detected",
        "baselines",
        leads=True,
    ),
    Question("Is the release as good?", "released", "argmin-table", "editors"),
    Question("Is DiffEdit's box as good?", "diffedit-box", "argmin-table", "editors"),
    Question("Does inpainting every box beat a race?", "enumerate", "race", "modes"),
    Question("Does a race by the loss, not by S, do better?", "race-by-loss", "race", "modes"),
    Question("Do the source words find better anchors?", "relevance", "dino", "anchor-sources"),
    Question("Would one anchor from the words do?", "relevance", "dino", "first-anchors"),
    Question("Would random anchors do?", "random", "dino", "anchor-sources"),
    Question("Does noise of its own for every box matter?", "independent", "common", "noise"),
    Question("Is the thing alone the better prompt?", "object", "scene", "prompts"),
)
BETTER, WORSE, UNSEEN = "better on", "worse on", "no difference found on"
ASKED = ("success", "iou", "score_s")
FEW = 6  # tasks: with fewer the smallest p value of Wilcoxon's test is above 0.05


def read_claims(results: dict[str, Any], config: Config) -> list[Claim]:
    """What results.json answers: a claim for each question whose rows were run.

    Args:
        results: What results.json holds.
        config: The study's parameters, for the titles of its rows.

    Returns:
        In the order of `QUESTIONS`; last, where the baseline is better than the method.
    """
    tasks = results.get("meta", {}).get("tasks", {}).get("headline", FEW)
    if tasks < FEW:
        said = f"{tasks} tasks are too few: no test can tell two rows apart by fewer than {FEW}."
        return [Claim("What do the rows say?", said, leads=True)]
    found = []
    for question in QUESTIONS:
        every = _paired(results, question)
        asked = {key: every[key] for key in ASKED if key in every}
        if asked:
            rows = _compared(results, config, question)
            claim = Claim(question.words, f"{rows}: {_sentence(asked)}.", question.leads)
            found.append(claim)
    return [*found, *_where_random_wins(results, config)]


def _compared(results: dict[str, Any], config: Config, question: Question) -> str:
    """Both rows by their titles, with their NFE."""
    own = results.get("ablations", {}).get(question.group, results.get("variants", {}))
    titles = []
    for name in (question.row, question.against):
        title = config.title_of(name, group=question.group or "rows")
        nfe = own.get(name, {}).get("nfe", {}).get("mean")
        titles.append(title if nfe is None else f"{title} ({nfe:.0f} NFE)")
    return f"{titles[0][0].upper()}{titles[0][1:]}, against {titles[1]}"


def _where_random_wins(results: dict[str, Any], config: Config) -> list[Claim]:
    """Every metric on which the baseline is better than the method, whatever was asked above."""
    method = results.get("method", {}).get("name")
    baseline = results.get("meta", {}).get("baseline")
    rows = results.get("paired", {}).get(baseline, {}).get(method)
    if not rows:
        return []
    known = {key: one for key, one in rows.items() if one.get("low") is not None}
    worse = {key: one for key, one in known.items() if _verdict(key, one) == WORSE}
    said = _sentence(worse) or "worse on no metric"
    compared = _compared(results, config, Question("", method, baseline))
    return [Claim("Where does random win?", f"{compared}: {said}.", leads=False)]


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
    if measure.power == 2:
        measure = replace(measure, decimals=1)
    points = " points" if measure.power == 2 else f" ×10^−{measure.power}" if measure.power else ""
    mean, low, high = (format_value(one[part], measure, sign=True) for part in
                       ("difference", "low", "high"))  # fmt: skip
    group = f"{measure.group} " if measure.group in ("CLIP", "Background", "Structure") else ""
    interval = f" [{low}, {high}]" if low != high else ""
    return f"{group}{measure.title} {mean}{points}{interval}"
