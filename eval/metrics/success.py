"""Did the edit do what was asked: what a judge sees at the true boxes -> yes or no.

replace, recolour   the new kind and colour stand at the true box
remove              nothing stands there
add                 the new thing stands in the chosen box, for any empty place would do
always              every bystander is what it was, at its own box
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lr_edit.types import Box, Truth

NOTHING = "none"
Sighting = tuple[str, str]


@runtime_checkable
class LabelJudge(Protocol):
    """A frozen classifier of what stands in a box; the kind of empty ground is `none`."""

    def kinds_and_colours(self, images: Tensor, boxes: Sequence[Box], /) -> list[Sighting]:
        """One box per image -> (kind, colour) of each."""
        ...


@dataclass(frozen=True)
class Verdict:
    """1, 0 or NaN each. `kind` and `colour` are about the edited place, `success` about it all."""

    kind: float
    colour: float
    success: float


UNKNOWN = Verdict(float("nan"), float("nan"), float("nan"))


def is_judged(truth: Truth | None) -> bool:
    """Whether the truth says what success would be: a place, or a thing, or both."""
    return truth is not None and not (truth.box is None and truth.wanted is None)


def verdict(truth: Truth, place: Sighting, *, bystanders: Sequence[Sighting]) -> Verdict:
    """From what the judge sees at the edited place and, in order, at every bystander's box."""
    kept = all(
        seen == (label.kind, label.colour)
        for (label, _), seen in zip(truth.bystanders, bystanders, strict=True)
    )
    if truth.wanted is None:
        gone = place[0] == NOTHING
        return Verdict(float(gone), float("nan"), float(gone and kept))
    kind, colour = place[0] == truth.wanted.kind, place[1] == truth.wanted.colour
    return Verdict(float(kind), float(colour), float(kind and colour and kept))


def edit_success(
    edited: Float[Tensor, "n 3 h w"],
    boxes: Sequence[Box],
    *,
    truth: Truth | None,
    judge: LabelJudge,
) -> list[Verdict]:
    """One verdict an edit of the same task; `boxes` are the chosen ones, which only `add` reads.

    All crops go to the judge in one call. Without a truth every verdict is NaN.
    """
    if truth is None or not is_judged(truth):
        return [UNKNOWN] * len(edited)
    looks = [
        (truth.box or chosen, *(box for _, box in truth.bystanders)) for chosen in boxes
    ]  # (N, 1 + bystanders)
    each = 1 + len(truth.bystanders)
    flat = [box for look in looks for box in look]
    seen = judge.kinds_and_colours(torch.repeat_interleave(edited, each, dim=0), flat)
    return [
        verdict(truth, seen[at], bystanders=seen[at + 1 : at + each])
        for at in range(0, len(seen), each)
    ]
