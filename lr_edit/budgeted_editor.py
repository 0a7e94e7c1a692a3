"""One picture edited within a budget of NFE (UNet evaluations): previews, then full quality.

`successive_halving.run_race` decides; its rounds here inpaint what it asks for. Boxes, noise,
scores and paste-back are `method`'s: a study's tables of the same sets give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from lr_edit import method
from lr_edit.config import Config, Race
from lr_edit.frozen.models import Models
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import Proposed, propose
from lr_edit.saliency import Saliency
from lr_edit.successive_halving import RaceResult, pick_entrants, plan_rounds, run_race
from lr_edit.types import Bank, Box, EditTask, LossWeights, Merit

# Saliency, boxes (points, sizes, 4) -> log probability that each is the best, (points, sizes).
Prior = Callable[[Saliency, Tensor], np.ndarray]
# What happens next, and the UNet evaluations that the whole edit will take.
Report = Callable[[str, int], None]


def boxes_in_words(count: int) -> str:
    """So many boxes.

    Example:
        >>> boxes_in_words(1), boxes_in_words(2)
        ('1 box', '2 boxes')
    """
    return "1 box" if count == 1 else f"{count} boxes"


@dataclass(frozen=True)
class ScoredCandidate:
    """A candidate at full quality: uint8 (3, side, side), its box in that square, its S and L."""

    image: Tensor
    box: Box
    score: float
    loss: float
    ground: float = np.nan  # of boxes that CLIP found by the source words

    def merit(self, rank: Merit) -> float:
        """How good, higher better; what could not be scored comes last."""
        value = {
            "S": self.score, "loss": -self.loss, "ground": self.ground,
            "ground-loss": self.ground - self.loss,
        }[rank]  # fmt: skip
        return -np.inf if np.isnan(value) else value


@dataclass(frozen=True)
class BudgetedEdit:
    """What was inpainted at full quality, the best first, and how the race went."""

    candidates: tuple[ScoredCandidate, ...]
    raced: RaceResult


def edit_within_budget(
    models: Models,
    task: EditTask,
    *,
    source: UInt8[Tensor, "3 side side"],
    config: Config,
    how: ProposalSet,
    rules: Race,
    prior: Prior | None = None,
    own: Int[Tensor, "n 4"] | None = None,
    proposed: Proposed | None = None,
    report: Report = lambda _what, _total: None,
) -> BudgetedEdit:
    """Inpaint previews of a set's boxes, then the best at the set's own quality, as `rules` say.

    `prior` orders the boxes, and the first `rules.entrants` of them enter; without it all do.
    Where there are no previews the budget buys the first at full quality. `own` boxes stand in
    place of the set's; `proposed` says what `propose` already gave.
    Raises UserError where the budget is too small.
    """
    maps, anchors, boxes = proposed or propose(models, task, source=source, config=config, how=how)
    if own is not None:
        anchors, boxes = torch.full((len(own), 2), -1), own[:, None]
    flat = boxes.flatten(0, 1)
    rounds = [
        how.model_copy(update={"inpaint": inpaint}) for inpaint in (*rules.previews, how.inpaint)
    ]
    scored: list[ScoredCandidate] = []

    def score_round(level: int, candidates: np.ndarray) -> tuple[np.ndarray, int]:
        chosen = torch.from_numpy(candidates)
        counted = maps if level == 0 else replace(maps, nfe=0)  # once
        part = counted, anchors[chosen // boxes.shape[1]], flat[chosen][:, None]
        last = level == len(rules.previews)
        report(
            f"{'full quality' if last else 'previews'} of {boxes_in_words(len(candidates))}", total
        )
        bank, images = method.make_bank(
            models, task, source=source, config=config, how=rounds[level], proposed=part
        )
        scored.extend(list_candidates(bank, images) if last else ())
        return bank.merit(rules.rank)[:, 0], bank.nfe

    probabilities = prior(maps, boxes) if prior else None
    ready = pick_entrants(
        boxes.numpy(), prior=probabilities, count=rules.entrants if prior else None
    )
    costs = [models.inpainter.nfe_per_image(one.inpaint.sampler) for one in rounds]
    plan = plan_rounds(rules.budget, costs, candidates=len(ready))
    total = sum(count * cost for count, cost in zip(plan, costs, strict=True))
    raced = run_race(score_round, ready, plan=plan)
    scored.sort(key=lambda one: one.merit(rules.rank), reverse=True)  # ties keep their order
    return BudgetedEdit(tuple(scored), raced)


def list_candidates(
    bank: Bank, images: UInt8[Tensor, "points sizes 3 side side"]
) -> list[ScoredCandidate]:
    """All candidates of a bank, anchor by anchor."""
    score, loss = bank.score, bank.loss(LossWeights())
    ground = np.full(loss.shape, np.nan) if bank.ground is None else bank.ground
    places = {at: Box(*bank.boxes[at].tolist()) for at in np.ndindex(*loss.shape)}
    return [
        ScoredCandidate(images[at], box, float(score[at]), float(loss[at]), float(ground[at]))
        for at, box in places.items()
    ]
