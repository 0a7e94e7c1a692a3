"""What the finished table of candidates could give: bounds no learner can beat, from it alone.

best-of-bank-s      the highest S of all candidates
best-of-bank-l      the lowest loss of all candidates

A perfect AnchorNet (the lowest loss at every anchor, then the highest S) is a row of params.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.study.evaluate import Judgements, score_choices
from eval.study.scores import Scores
from lr_edit.types import Bank, Choice, EditTask, LossWeights


def ceiling_choices(bank: Bank) -> dict[str, Choice]:
    """One choice a ceiling; ties go to the first, NaN never wins."""
    score = np.where(np.isnan(bank.score), -np.inf, bank.score)
    loss = bank.loss(LossWeights())
    loss = np.where(np.isnan(loss), np.inf, loss)
    return {
        "best-of-bank-s": _at(int(score.argmax()), score.shape),
        "best-of-bank-l": _at(int(loss.argmin()), loss.shape),
    }


def ceiling_scores(
    tasks: Sequence[EditTask], *, banks: Sequence[Bank], judged: Sequence[Judgements]
) -> list[Scores]:
    """The ceilings scored like variants; each uses every candidate."""
    chosen = [ceiling_choices(bank) for bank in banks]
    candidates_used = [bank.losses[..., 0].size for bank in banks]
    return [
        score_choices(
            name,
            tasks,
            choices=[[row[name]] for row in chosen],
            banks=banks,
            judged=judged,
            candidates_used=candidates_used,
        )
        for name in chosen[0]
    ]


def _at(index: int, shape: tuple[int, ...]) -> Choice:
    point, size = divmod(index, shape[1])
    return Choice(point=point, size=size)
