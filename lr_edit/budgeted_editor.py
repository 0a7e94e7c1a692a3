"""One image edited within a budget of NFE (UNet evaluations): previews, then full quality.

`run_race` decides who goes on; its rounds here inpaint. Boxes, noise, scores and paste-back are
`method`'s, so that a study's tables of the same sets give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lr_edit import method
from lr_edit.config import Config, ProposalSet, Race
from lr_edit.frozen.models import Models
from lr_edit.propose import propose
from lr_edit.saliency import Saliency
from lr_edit.successive_halving import RaceResult, pick_entrants, plan_rounds, run_race
from lr_edit.types import Box, EditTask, Track

# Saliency, boxes (points, sizes, 4) -> log probability that each is the best, (points, sizes).
Prior = Callable[[Saliency, Tensor], np.ndarray]


@dataclass(frozen=True)
class BudgetedEdit:
    """The edited image, uint8 (3, side, side), where it was edited, and how the race went."""

    image: Tensor
    box: Box
    raced: RaceResult


def edit_within_budget(
    models: Models,
    task: EditTask,
    *,
    source: UInt8[Tensor, "3 side side"],
    config: Config,
    how: ProposalSet,
    rules: Race,
    track: Track,
    prior: Prior | None = None,
) -> BudgetedEdit:
    """Inpaint previews of a set's boxes, then the best at the set's own quality, as `rules` say.

    `prior` orders the boxes, and the first `rules.entrants` of them enter; without it all do. Where
    there are no previews the budget buys the first at full quality. Raises UserError where it is
    too small.
    """
    seen, anchors, boxes = propose(models, task, source=source, config=config, how=how)
    flat = boxes.flatten(0, 1)
    rounds = [
        how.model_copy(update={"inpaint": inpaint}) for inpaint in (*rules.previews, how.inpaint)
    ]
    images: dict[int, Tensor] = {}

    def look(level: int, candidates: np.ndarray) -> tuple[np.ndarray, int]:
        chosen = torch.from_numpy(candidates)
        looked = seen if level == 0 else replace(seen, nfe=0)  # counted once
        part = looked, anchors[chosen // boxes.shape[1]], flat[chosen][:, None]
        what = "previews" if level < len(rules.previews) else "full quality"
        ((bank, painted),) = track(
            (
                method.make_bank(
                    models, task, source=source, config=config, how=rounds[level], proposed=part
                )
                for _ in range(1)
            ),
            f"{what} of {len(candidates)} boxes",
            total=1,
        )
        images.update(zip(candidates.tolist(), painted[:, 0], strict=True))
        return bank.merit(rules.rank)[:, 0], bank.nfe

    likely = prior(seen, boxes) if prior else None
    ready = pick_entrants(boxes.numpy(), prior=likely, count=rules.entrants if prior else None)
    costs = [models.inpainter.nfe_per_image(one.inpaint.sampler) for one in rounds]
    plan = plan_rounds(rules.budget, costs, candidates=len(ready))
    raced = run_race(look, ready, plan=plan)
    return BudgetedEdit(images[raced.winner], Box(*flat[raced.winner].tolist()), raced)
