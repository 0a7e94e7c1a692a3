"""Detectors and a segmenter of transformers, of random weights in the hub's layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lr_edit.errors import UserError
from lr_edit.frozen.detectors import (
    _ASKED,
    BoxSegmenter,
    ZeroShotDetector,
    load_detector,
    load_segmenter,
)
from tests.detector_layout import DETECTORS, write_sam2

SIDE = 64


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request: pytest.FixtureRequest, tmp_path_factory) -> ZeroShotDetector:
    folder = tmp_path_factory.mktemp(request.param)
    DETECTORS[request.param](folder)
    return load_detector(f"local-dir:{folder}")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory) -> BoxSegmenter:
    folder = tmp_path_factory.mktemp("sam2")
    write_sam2(folder)
    return load_segmenter(f"local-dir:{folder}")


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_a_detector_has_boxes_the_surest_first(detector, picture) -> None:
    found = detector.find(picture, "a red boat")
    assert len(found.boxes) == len(found.scores) >= 1
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert torch.equal(found.scores, found.scores.sort(descending=True).values)
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()


def test_a_detector_answers_the_words_and_the_picture(detector, picture) -> None:
    first, again = (detector.find(picture, "a red boat") for _ in range(2))
    assert torch.equal(first.boxes, again.boxes) and torch.equal(first.scores, again.scores)
    others = detector.find(picture, "a fish"), detector.find(picture.flip(3), "a red boat")
    assert all(not torch.equal(first.scores, other.scores) for other in others)


def test_words_longer_than_a_detector_reads_are_cut(detector, picture) -> None:
    assert len(detector.find(picture, "a red boat " * 300).boxes) >= 1


def test_nothing_of_a_detector_learns(detector) -> None:
    assert not any(p.requires_grad for p in detector._model.parameters())
    assert not detector._model.training


def test_a_segmenter_draws_one_mask_a_box(segmenter, picture) -> None:
    boxes = torch.tensor([[4, 4, 40, 40], [8, 20, 30, 60]])
    masks = segmenter.segment(picture, boxes)
    assert masks.shape == (2, SIDE, SIDE) and masks.dtype == torch.bool
    assert torch.equal(masks, segmenter.segment(picture, boxes))
    assert not torch.equal(masks, segmenter.segment(picture, boxes + 4))


def test_another_class_is_refused_with_those_that_do(tmp_path: Path) -> None:
    write_sam2(tmp_path)
    with pytest.raises(UserError, match="a Sam2Model is no detector here; those that are: OwlViT"):
        load_detector(f"local-dir:{tmp_path}")
    DETECTORS["owl"](tmp_path)
    with pytest.raises(UserError, match="a OwlViTForObjectDetection draws no masks here"):
        load_segmenter(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_weights_that_are_not_there_are_named(tmp_path: Path, lost: str) -> None:
    DETECTORS["owl"](tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(UserError, match=f"{lost} is not there"):
        load_detector(f"local-dir:{tmp_path}")


def test_a_configuration_without_a_class_is_refused(tmp_path: Path) -> None:
    DETECTORS["owl"](tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": None}))
    with pytest.raises(UserError, match="a model without a name is no detector"):
        load_detector(f"local-dir:{tmp_path}")


def test_every_class_has_its_contract_test(tmp_path: Path) -> None:
    written = set()
    for name, write in DETECTORS.items():
        write(tmp_path / name)
        config = json.loads((tmp_path / name / "config.json").read_text())
        written |= set(config["architectures"])
    assert written == set(_ASKED)
