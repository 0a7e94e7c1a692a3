"""The grounded way: boxes by the source words, and the race where CLIP does not find them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lr_edit.budgeted_editor import Prior
from lr_edit.config import Config, load_config
from lr_edit.frozen.models import Models
from lr_edit.modes import RUN, EditJob, Outcome
from lr_edit.types import EditTask
from tests.fakes import FakeAnchors, FakeInpainter, RedFinder


def study(found: float) -> Config:
    config = load_config(None)
    own = config.models.model_copy(update={"found": found, "grounded": 50})
    return config.model_copy(update={"profiles": {**config.profiles, config.profile: own}})


def flat_prior() -> Prior:
    return lambda _maps, boxes: np.zeros(boxes.shape[:2])


def edited(config: Config, *, budget: int | None = None) -> tuple[Outcome, list[str]]:
    source = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    source[:, 30:48, 20:38] = torch.tensor([230, 25, 25], dtype=torch.uint8)[:, None, None]
    said: list[str] = []
    job = EditJob(
        Models(FakeAnchors(), RedFinder(), FakeInpainter()), config,
        EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow"), source,
        boxes=None, rank=None, budget=budget, read_prior=flat_prior,
        report=lambda what, _: said.append(what),
    )  # fmt: skip
    return RUN["grounded"](job), said


def test_grounded_boxes_hold_what_the_words_name_and_the_best_is_by_ground_less_loss() -> None:
    done, said = edited(study(found=0.0))
    assert said == [f"full quality of {len(done.candidates)} boxes"]
    merits = [one.ground - one.loss for one in done.candidates]
    assert merits == sorted(merits, reverse=True) and done.nfe <= 50


def test_a_budget_of_one_box_inpaints_the_first_grounded_one() -> None:
    many, _ = edited(study(found=0.0))
    (one,) = edited(study(found=0.0), budget=10)[0].candidates
    assert one.ground == max(other.ground for other in many.candidates)
    assert one.box.left <= 20 and one.box.top <= 30 and one.box.right >= 38


def test_words_that_are_not_found_are_raced_for() -> None:
    done, said = edited(study(found=2.0))
    assert any(what.startswith("previews") for what in said)
    assert [one.loss for one in done.candidates] == sorted(one.loss for one in done.candidates)
