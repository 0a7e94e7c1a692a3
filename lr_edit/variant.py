"""A row of the tables: what picks its edits from the candidates, and which of its keys are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lr_edit.errors import UserError
from lr_edit.profiles import MOST, Count, Index
from lr_edit.profiles import Frozen as _Frozen
from lr_edit.types import LossWeights, Merit


class Variant(_Frozen):
    """A row of the tables: which candidates, what picks a size at each anchor, how anchors rank."""

    proposals: str
    choose: Literal["net", "table", "random", "fixed", "best", "sample"] = "net"
    size: Index = 0  # for `fixed`: index into the sizes
    draws: Count = 1  # for `sample`: candidates drawn
    learner: Literal["exact", "gumbel", "reinforce", "leave-one-out", "none"] = "none"
    rank: Merit | Literal["released"] = "S"
    losses: LossWeights = LossWeights()
    steps: Count = 400
    rate: float = Field(5e-3, gt=0, le=MOST)
    weight_decay: float = Field(0.0, ge=0, le=MOST)
    seeds: Count = 1  # random draws or random starts to average over


class Ablation(Variant):
    """A variant that may use a part of the candidates; scored from tables, it inpaints nothing.

    `scope: dataset` chooses by what was learned on other images: the best size, or a net."""

    points: Count | None = None  # the first so many anchors; default: all
    sizes: tuple[Index, ...] | None = Field(None, min_length=1)  # their indices; default: all
    scope: Literal["image", "dataset"] = "image"
    trained_on: Index = 0  # images, of `dataset_net.tasks`; 0: a random start
    text: bool = False  # whether the net reads the relevance of the source words
    by: Literal["J", "S"] = "J"  # what the best size was best by
    top: Count | None = None  # inpaint the top k pairs alone; default: one per anchor
    previews: tuple[str, ...] = ()  # a race: the sets of its rounds before `proposals`, and
    budget: Count = 400  # its NFE (UNet evaluations) at most
    entrants: Count | None = None  # with `scope: dataset`: only the top k enter it


def check_row(row: Variant, own: Mapping[str, Any] | None, *, path: Path, key: str) -> None:
    """UserError for losses that say nothing, and for a key of the row's own that nothing reads."""
    if not any(vars(row.losses).values()):
        raise UserError(f"{path}: parameter '{key}.losses': all weigh 0, so that all are the best")
    for name, whose in _unread(row).items():
        if name in (own or {}):
            raise UserError(f"{path}: parameter '{key}.{name}' is of {whose}: leave it out")


def _unread(row: Variant) -> dict[str, str]:
    """The keys that nothing reads in such a row, each with what would."""
    dataset, races = getattr(row, "scope", "") == "dataset", bool(getattr(row, "previews", ()))
    nets, fixed = row.choose == "net", row.choose == "fixed"
    learns = nets and not dataset and row.learner != "none"
    weighs = learns or row.choose == "table" or row.rank in ("loss", "ground-loss")
    read = {
        "size": (fixed and not dataset, "`choose: fixed`"),
        "draws": (row.choose == "sample", "`choose: sample`"),
        "learner": (nets and not dataset, "`choose: net`"),
        "losses": (weighs, "rows that learn, or choose or rank by the loss"),
        "by": (dataset and fixed, "`choose: fixed` with `scope: dataset`"),
        "top": (nets, "`choose: net`"),
    }
    read |= dict.fromkeys(("steps", "rate", "weight_decay"), (learns, "rows with a `learner`"))
    read |= dict.fromkeys(("text", "trained_on"), (dataset, "nets with `scope: dataset`"))
    read |= dict.fromkeys(("budget", "entrants"), (races, "a race, which has `previews`"))
    return {name: whose for name, (is_read, whose) in read.items() if not is_read}
