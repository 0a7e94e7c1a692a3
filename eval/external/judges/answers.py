"""What a judge said -> scores, or nothing: what cannot be read is missing, never a number."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer.

    scores     as many numbers as were asked for, each within its range; None: no such answer
    reasoning  the judge's own words
    why        what was wrong with an answer without scores
    """

    scores: tuple[float, ...] | None
    reasoning: str = ""
    why: str = ""


def parse_answer(text: str, *, count: int, low: float, high: float) -> Answer:
    """Read `{"reasoning": text, "score": [numbers]}`, also within a fence or other words.

    Args:
        text: what the model answered.
        count: how many scores were asked for.
        low: the least score there is.
        high: the highest score there is.

    Returns:
        The scores; without any where the JSON, their number or their range is wrong.

    Example:
        >>> parse_answer('{"reasoning": "good", "score": [8, 9]}', count=2, low=0, high=10).scores
        (8.0, 9.0)
        >>> parse_answer("8 of 10", count=2, low=0, high=10).why
        'no JSON object in the answer'
    """
    objects = _find_objects(_without_thoughts(text))
    if not objects:
        return Answer(None, why="no JSON object in the answer")
    found = objects[-1]
    if any(one["score"] != found["score"] for one in objects):
        return Answer(None, why="several objects with other scores")
    reasoning = found.get("reasoning")
    said = reasoning if isinstance(reasoning, str) else ""
    given: Any = found.get("score")
    scores: list[Any] = given if isinstance(given, list) else [given]
    if not all(type(one) in (int, float) for one in scores):
        return Answer(None, said, "the score is no list of numbers")
    if len(scores) != count:
        return Answer(None, said, f"{len(scores)} scores for {count}")
    if not all(low <= one <= high for one in scores):  # refuses NaN too
        return Answer(None, said, f"a score outside {low:g} to {high:g}")
    return Answer(tuple(map(float, scores)), said)


def parse_lines(text: str, *, count: int, low: float, high: float) -> Answer:
    """Read lines of `NAME: INTEGER`, as ImgEdit's judge answers.

    Example:
        >>> parse_lines("Prompt: 4\\nDetail: 5\\nSeam: 3", count=3, low=1, high=5).scores
        (4.0, 5.0, 3.0)
    """
    said = _without_thoughts(text)
    found = [float(n) for n in re.findall(r"^[^:\n]{1,80}:\s*(-?\d+)\s*$", said, re.MULTILINE)]
    if len(found) != count:
        return Answer(None, text, f"{len(found)} scores for {count}")
    if not all(low <= one <= high for one in found):
        return Answer(None, text, f"a score outside {low:g} to {high:g}")
    return Answer(tuple(found), text)


def _without_thoughts(text: str) -> str:
    """What a reasoning model says after it has thought."""
    return re.sub(r"<think>.*?</think>|^.*</think>", "", text, flags=re.DOTALL)


def _find_objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects with a score in a text; a score that is given twice is a list of both."""
    decoder = json.JSONDecoder(object_pairs_hook=_all_scores)
    found, at = [], text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found += [value] if "score" in value else []
        at = text.find("{", end)
    return found


def _all_scores(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    scores = [value for name, value in pairs if name == "score"]
    return dict(pairs) | ({"score": scores} if len(scores) > 1 else {})
