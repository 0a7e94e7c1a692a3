"""The modes that go by the source words: a detector's boxes, else CLIP's, else the race."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lr_edit.budgeted_editor import Prior
from lr_edit.config import Config, load_config
from lr_edit.frozen.models import Models
from lr_edit.modes import RUN, EditJob, Outcome
from lr_edit.types import Box, EditTask, Merit
from tests.fakes import FakeAnchors, FakeDetector, FakeInpainter, RedFinder

BALL = Box(16, 28, 40, 52)  # the red one, grown and snapped as found boxes are
SEEN = FakeDetector((20, 30, 38, 48), (0, 0, 12, 12), (44, 4, 60, 20))


def study(found: float = 0.0, **other: Any) -> Config:
    config = load_config(None)
    own = config.models.model_copy(update={"found": found, "grounded": 50, **other})
    return config.model_copy(update={"profiles": {**config.profiles, config.profile: own}})


def flat_prior(_proposals: str) -> Prior:
    return lambda _maps, boxes: np.zeros(boxes.shape[:2])


def edited(
    config: Config, mode: str, *, budget: int | None = None, rank: Merit | None = None,
    detector: FakeDetector | None = None, part: Box | None = None,
) -> tuple[Outcome, list[str]]:  # fmt: skip
    """An edit of a red ball, and what was said."""
    source = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    source[:, 30:48, 20:38] = torch.tensor([230, 25, 25], dtype=torch.uint8)[:, None, None]
    said: list[str] = []
    job = EditJob(
        Models(FakeAnchors(), RedFinder(), FakeInpainter(), part=part), config,
        EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow"), source,
        boxes=None, rank=rank, budget=budget, read_prior=flat_prior,
        read_detector=lambda: detector or SEEN,
        report=lambda what, _: said.append(what),
    )  # fmt: skip
    return RUN[mode](job), said  # type: ignore[index]


def test_grounded_boxes_hold_what_the_words_name_and_the_best_is_by_ground_less_loss() -> None:
    done, said = edited(study(), "grounded")
    assert said == [f"full quality of {len(done.candidates)} boxes"]
    merits = [one.ground - one.loss for one in done.candidates]
    assert merits == sorted(merits, reverse=True) and done.nfe <= 50


def test_a_budget_of_one_box_inpaints_the_first_grounded_one() -> None:
    many, _ = edited(study(), "grounded")
    (one,) = edited(study(), "grounded", budget=10)[0].candidates
    assert one.ground == max(other.ground for other in many.candidates)
    assert one.box.left <= 20 and one.box.top <= 30 and one.box.right >= 38


def test_words_that_are_not_found_are_raced_for() -> None:
    done, said = edited(study(found=2.0), "grounded")
    assert any(what.startswith("previews") for what in said)
    assert [one.loss for one in done.candidates] == sorted(one.loss for one in done.candidates)


def test_the_box_of_which_a_detector_is_surest_is_the_edit() -> None:
    done, said = edited(study(), "detected")
    assert said == ["full quality of 1 box"] and done.nfe == 10
    assert [one.box for one in done.candidates] == [BALL]


@pytest.mark.parametrize(
    ("budget", "rank", "boxes"), [(10, None, 1), (20, None, 2), (50, None, 3), (None, "S", 3)]
)
def test_a_budget_buys_more_of_its_boxes_and_a_rank_chooses_of_some(
    budget: int | None, rank: Merit | None, boxes: int
) -> None:
    done, _ = edited(study(), "detected", budget=budget, rank=rank)
    assert len(done.candidates) == boxes and done.nfe == 10 * boxes
    assert BALL in [one.box for one in done.candidates]
    if rank:
        scores = [one.score for one in done.candidates]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("config", "detector", "part"),
    [
        (study(), FakeDetector((20, 30, 38, 48), sure=0.1), None),
        (study(detector=None), SEEN, None),
        (study(), FakeDetector((48, 30, 64, 48)), Box(0, 0, 44, 64)),  # not in the picture
    ],
    ids=["not sure", "none", "beyond"],
)
def test_what_no_detector_finds_is_looked_for_as_grounded_is(
    config: Config, detector: FakeDetector, part: Box | None
) -> None:
    done, _ = edited(config, "detected", detector=detector, part=part)
    other, _ = edited(config, "grounded", part=part)
    assert [one.box for one in done.candidates] == [one.box for one in other.candidates]
    assert done.nfe == other.nfe
