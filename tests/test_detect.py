"""Regions by a detector: its boxes, outlines in them, and a bank as every other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lr_edit.choose import best_of_bank
from lr_edit.config import Config, load_config
from lr_edit.detect import Outlined, detect_words, detected_bank, draw_outlines, feather_mask
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models
from lr_edit.proposal_set import ProposalSet
from lr_edit.types import EditTask, Sampler
from tests.fakes import FakeAnchors, FakeClip, FakeDetector, FakeInpainter, FakeSegmenter, drawn

SIDE, CELL = 64, 4
TASK = EditTask("a", Path("a.png"), "a red boat", "a blue fish on sand")
FAR = FakeDetector((10.4, 11.0, 29.0, 30.2), (11.0, 11.0, 29.0, 30.0), (40.0, 2.0, 80.0, 20.0))


def proposals(boxes: str = "detected", points: int = 3) -> ProposalSet:
    own = {"anchors": "detector", "boxes": boxes, "propose": {"points": points}}
    return ProposalSet.model_validate(own | {"inpaint": {"steps": 2, "guidance": 1.0}})


@pytest.fixture
def config() -> Config:
    return load_config()


@pytest.fixture
def models() -> Models:
    return Models(FakeAnchors(), FakeClip(), FakeInpainter())


def source() -> Tensor:
    return (drawn(1, 3, SIDE, SIDE).sigmoid() * 255).to(torch.uint8)


def detect(detector: FakeDetector, *, points: int = 3, seam: int = 0):
    image = source()[None].float() / 255
    return detect_words(detector, image, words="a red boat", points=points, cell=CELL, seam=seam)


def test_boxes_are_on_the_grid_apart_and_the_surest_first() -> None:
    found = detect(FAR)
    assert found.boxes.tolist() == [[8, 8, 32, 32], [40, 0, 64, 20]]  # the second is the first
    assert found.scores.tolist() == pytest.approx([0.9, 0.1]) and found.views == 0
    assert detect(FAR, points=1).boxes.tolist() == [[8, 8, 32, 32]]


def test_a_box_is_grown_by_the_seam_before_it_snaps() -> None:
    assert detect(FakeDetector((12, 12, 28, 28)), seam=2).boxes.tolist() == [[8, 8, 32, 32]]


@given(st.lists(st.tuples(*[st.floats(-100, 200)] * 4), min_size=1, max_size=6))
def test_any_box_of_a_detector_becomes_one_of_whole_cells(boxes: list[tuple]) -> None:
    for box in detect(FakeDetector(*boxes)).boxes.tolist():
        left, top, right, bottom = box
        assert 0 <= left < right <= SIDE and 0 <= top < bottom <= SIDE
        assert all(edge % CELL == 0 for edge in box)


def test_a_bank_of_detected_boxes_is_ranked_by_how_sure_the_detector_is(models, config) -> None:
    bank, images = detected_bank(
        models, TASK, detector=FAR, segmenter=None, source=source(), config=config, how=proposals()
    )
    assert bank.boxes[:, 0].tolist() == [[8, 8, 32, 36], [36, 0, 64, 24]]
    assert images.shape == (2, 1, 3, SIDE, SIDE) and bank.views == 0
    assert bank.nfe == 2 * 2  # two boxes, two steps; finding them costs none
    assert best_of_bank(bank, rank="ground").point == 0
    assert FAR.words[-1] == TASK.source
    first = images[0, 0]
    assert torch.equal(first[:, :8], source()[:, :8])
    assert not torch.equal(first[:, 8:32, 8:32], source()[:, 8:32, 8:32])


def test_of_a_segmented_box_the_outline_alone_is_filled(models, config) -> None:
    detector = FakeDetector((8, 8, 32, 32))
    bank, images = detected_bank(
        models, TASK, detector=detector, segmenter=FakeSegmenter(), source=source(), config=config,
        how=proposals("segmented"),
    )  # fmt: skip
    assert bank.boxes.tolist() == [[[0, 0, 24, 40]]]  # about the left half of 4..36, grown by 2
    changed = (images[0, 0] != source()).any(0)
    assert changed[10:30, 8:18].float().mean() > 0.9
    assert not changed[:, 22:].any() and not changed[:2].any()


def test_where_a_segmenter_sees_nothing_the_box_is_filled() -> None:
    image, boxes = source()[None].float() / 255, torch.tensor([[0, 4, 8, 12], [16, 16, 32, 32]])
    masks = draw_outlines(FakeSegmenter(), image, boxes=boxes, grow=0)
    assert masks[0].nonzero().aminmax(dim=0).max.tolist() == [11, 7]
    assert int(masks[0].sum()) == 64 and int(masks[1].sum()) == 16 * 8


def test_an_outline_fades_inward_and_the_source_stays_beyond_it() -> None:
    mask = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    mask[..., 1:8, 1:8] = True
    weight = feather_mask(mask, feather=2)[0, 0]
    assert weight[4, 4] == 1 and (weight[~mask[0, 0]] == 0).all()
    assert (weight[4, 1:5].diff() >= 0).all() and 0 < weight[4, 1] < 1


def test_boxes_without_an_outline_are_filled_as_a_whole() -> None:
    inner, image = FakeInpainter(), source()[None].float() / 255
    masks = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    masks[..., 8:16, 8:16] = True
    how: dict[str, Any] = {
        "masks": masks,
        "noise": inner.noise(SIDE, 0),
        "sampler": Sampler(2, 1.0, 1.0),
    }
    made = Outlined(inner, {}, feather=0).inpaint(image, "a fish", **how)
    plain = FakeInpainter().inpaint(image, "a fish", **how)
    assert torch.equal(made.where(masks, 0), plain.where(masks, 0))
    assert torch.equal(made.where(~masks, 0), image.where(~masks, 0)) and inner.nfe == 2


def test_anchors_and_boxes_of_a_detector_go_together() -> None:
    with pytest.raises(ValueError, match="anchors detector and boxes squares do not go together"):
        ProposalSet.model_validate(
            {"anchors": "detector", "boxes": "squares", "propose": {}, "inpaint": {}}
        )
    with pytest.raises(ValueError, match="anchors dino and boxes segmented do not go together"):
        ProposalSet.model_validate(
            {"anchors": "dino", "boxes": "segmented", "propose": {}, "inpaint": {}}
        )


def test_a_profile_without_a_detector_says_so(config) -> None:
    with pytest.raises(UserError, match="the profile names no `segmenter`: add one, or drop"):
        config.models.model("segmenter")
    assert np.isfinite(detect(FAR).drop)
