"""How often the judge agrees with labels by eye: edits of a study, looked up in its tables.

`labels/` holds draws of edits over all rows, labelled by eye without the judge's word: its
thresholds were chosen on the first two, the others, together `unseen`, tell how good it is. One
labelled the first three. Three labelled the others, two or all of them by `labels/RULES.md` alone:
what most of them say counts, and how often two of them say the same is as far as a judge can get.
The seventh is of other tasks: the report of that study, studies/labels.yaml, knows it. An edit is
known by its task and its box, since all candidates of a task share their noise.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from eval.study.evaluate import Judgements
from lr_edit.types import Bank

LABELS = Path(__file__).parent / "labels"
DRAWS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
UNSEEN = DRAWS[2:]  # together they are the claim
Edit = tuple[str, tuple[int, ...]]  # task, box


@dataclass(frozen=True)
class Agreement:
    """Labels and the judge on n edits, or labels of two; `missing`, of the study's tasks, are in no
    table.

    agree, low, high   share of equal verdicts and its 95% Wilson interval
    kappa              Cohen's: 0 is chance, 1 is always
    """

    n: int
    missing: int
    agree: float
    low: float
    high: float
    kappa: float


def judge_agreement(verdicts: Mapping[Edit, float]) -> dict[str, dict[str, float]]:
    """Draw -> agreement on its edits, on those of `unseen`, and of two `labellers` on the edits
    that several labelled; what knows none is left out."""
    found, heard, tasks = {}, [], {task for task, _ in verdicts}
    for name, draws in {**{draw: (draw,) for draw in DRAWS}, "unseen": UNSEEN}.items():
        labels = [one for draw in draws for one in read_labels(draw)]
        known = [(edit, votes) for edit, votes in labels if edit in verdicts]
        if known:
            labelled = np.array([most_say(votes) for _, votes in known], dtype=float)
            judge = np.array([verdicts[edit] for edit, _ in known], dtype=float)
            own = sum(task in tasks for (task, _), _ in labels)
            found[name] = asdict(agree(labelled, judge, missing=own - len(known)))
        if name == "unseen":
            heard = [pair for _, votes in known for pair in itertools.combinations(votes, 2)]
    if heard:
        found["labellers"] = asdict(agree(*np.array(heard, dtype=float).T))
    return found


def most_say(votes: Sequence[int]) -> int:
    """What most of an odd number say, 0 or 1."""
    return int(2 * sum(votes) > len(votes))


def agree(labels: np.ndarray, judge: np.ndarray, *, missing: int = 0) -> Agreement:
    """Of two lists of verdicts, 0 or 1.

    Example:
        >>> both = agree(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))
        >>> both.agree, both.kappa
        (0.75, 0.5)
    """
    same = int((labels == judge).sum())
    low, high = binomtest(same, len(labels)).proportion_ci(method="wilson")
    chance = labels.mean() * judge.mean() + (1 - labels.mean()) * (1 - judge.mean())
    share = same / len(labels)
    kappa = (share - chance) / (1 - chance) if chance < 1 else 1.0
    return Agreement(len(labels), missing, share, float(low), float(high), float(kappa))


def read_labels(draw: str) -> list[tuple[Edit, tuple[int, ...]]]:
    """The edits of a draw, each with what every one of its labels says: 1 where it succeeds."""
    with (LABELS / f"{draw}.csv").open(newline="", encoding="utf-8") as file:
        return [
            (
                (row["task"], tuple(int(row[side]) for side in ("left", "top", "right", "bottom"))),
                tuple(int(row[who]) for who in ("success", "second", "third") if who in row),
            )
            for row in csv.DictReader(file)
        ]


def known_verdicts(
    tasks: Sequence[str], *, banks: Sequence[Bank], judged: Sequence[Judgements]
) -> dict[Edit, float]:
    """What the judge says of every box of a proposal set."""
    found: dict[Edit, float] = {}
    for task, bank, table in zip(tasks, banks, judged, strict=True):
        boxes, verdicts = bank.boxes.reshape(-1, 4).tolist(), table["success"].ravel().tolist()
        found |= {(task, tuple(box)): one for box, one in zip(boxes, verdicts, strict=True)}
    return found
