"""What a judge is asked, and how its scores become one value: GEdit's, ImgEdit's, and one of ours.

The words are our own; their structure is that of the published rules. A rule's digest stands beside
every number that it gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.external.judges.answers import Answer, parse_answer, parse_lines
from lr_edit.workspace.storage import content_key

_SCHEMA = (
    'Answer with one JSON object and nothing else: {"reasoning": "one or two sentences", '
    '"score": [first, second]}. Both scores are numbers from LOW to HIGH.'
)
_EDIT = (
    "The first picture is the source, the second is what an editor made of it. The editor was "
    "told: INSTRUCTION\n"
)


@dataclass(frozen=True)
class Question:
    """One thing that a judge is asked about an edit.

    text         with the word INSTRUCTION where the instruction stands
    both         whether it sees the source too, or the edit alone
    count        how many scores it answers with, each in `low` to `high`
    """

    name: str
    text: str
    both: bool
    count: int
    low: float
    high: float
    read: Callable[..., Answer] = parse_answer

    def ask(self, instruction: str) -> str:
        """The words for one edit."""
        return self.text.replace("INSTRUCTION", instruction)

    def parse(self, text: str) -> Answer:
        """An answer's scores."""
        return self.read(text, count=self.count, low=self.low, high=self.high)


@dataclass(frozen=True)
class Rule:
    """A judge's questions, and how their scores become the values of one edit.

    combine  question -> its scores; name -> value, in the order of `values`
    values   name -> (lowest, highest)
    """

    name: str
    questions: tuple[Question, ...]
    combine: Callable[[Mapping[str, Sequence[float]]], dict[str, float]]
    values: Mapping[str, tuple[float, float]]

    @property
    def digest(self) -> str:
        """sha256 of all that the judge reads."""
        return content_key(
            *([q.name, q.text, q.both, q.count, q.low, q.high] for q in self.questions)
        )


def _viescore(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """SC and PQ are the lower of two scores, O their geometric mean (Ku et al. 2024)."""
    sc, pq = min(scores["sc"]), min(scores["pq"])
    return {"judge_sc": sc, "judge_pq": pq, "judge_o": math.sqrt(sc * pq)}


def _mean(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of ImgEdit's three scores."""
    return {"judge_mean": math.fsum(scores["basic"]) / len(scores["basic"])}


def _schema(low: float, high: float) -> str:
    return _SCHEMA.replace("LOW", f"{low:g}").replace("HIGH", f"{high:g}")


def _two(low: float, high: float) -> tuple[Question, Question]:
    """What VIEScore asks: was it done and no more, and does it look right."""
    done = (
        f"{_EDIT}First score: how completely the second picture does what was asked ({low:g}: not "
        f"at all, {high:g}: wholly). Second score: how well everything that was not asked for was "
        f"left alone ({low:g}: another picture, {high:g}: nothing else changed). "
        f"{_schema(low, high)}"
    )
    looks = (
        f"This picture was made by an image editor. First score: how natural it looks in light, "
        f"perspective and proportion ({low:g}: not at all, {high:g}: as a photo). Second score: "
        f"how free it is of artefacts such as seams, smears and broken parts ({low:g}: full of "
        f"them, {high:g}: none). {_schema(low, high)}"
    )
    return (
        Question("sc", done, both=True, count=2, low=low, high=high),
        Question("pq", looks, both=False, count=2, low=low, high=high),
    )


_TEN = (0.0, 10.0)
GEDIT = Rule("gedit", _two(*_TEN), _viescore, {"judge_sc": _TEN, "judge_pq": _TEN, "judge_o": _TEN})
_FINE = (0.0, 25.0)
EDITSCORE = Rule(  # the structure of EditScore's rule: the same two questions, on 0 to 25
    "editscore", _two(*_FINE), _viescore, {"judge_sc": _FINE, "judge_pq": _FINE, "judge_o": _FINE}
)
IMGEDIT = Rule(
    "imgedit",
    (
        Question(
            "basic",
            f"{_EDIT}Answer in three lines and nothing else, each a whole number from 1 to 5:\n"
            "Instruction: how fully it was followed\nFit: how well the edit fits the picture\n"
            "Detail: how free of flaws it is\nWrite them as NAME: INTEGER.",
            both=True, count=3, low=1, high=5, read=parse_lines,
        ),
    ),
    _mean,
    {"judge_mean": (1.0, 5.0)},
)  # fmt: skip
RULES = {rule.name: rule for rule in (GEDIT, EDITSCORE, IMGEDIT)}
