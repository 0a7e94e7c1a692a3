"""Grounding finds the box without which an image says less of the words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lr_edit.config import load_config
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models
from lr_edit.grounding import (
    OVERLAP,
    STEP,
    ground_scores,
    ground_words,
    hide_boxes,
    squares_on_grid,
    suppress,
)
from lr_edit.method import make_bank
from lr_edit.types import EditTask
from lr_edit.workspace.storage import read_bank, read_tensors, write_bank, write_tensors
from tests.fakes import FakeAnchors, FakeInpainter, RedFinder

SIDE, CELL, SIZES = 64, 4, (0.3125, 0.4375, 0.5625, 0.6875)


def picture(left: int, top: int, extent: int) -> Tensor:
    """(1, 3, side, side): grey, and a red square."""
    image = torch.full((1, 3, SIDE, SIDE), 0.4)
    image[0, :, top : top + extent, left : left + extent] = torch.tensor([0.9, 0.1, 0.1]).view(
        3, 1, 1
    )
    return image


def found(image: Tensor, clip: RedFinder, *, points: int = 5) -> Tensor:
    got = ground_words(clip, image, words="red", sizes=SIZES, points=points, cell=CELL)
    assert got.views == clip.views and len(got.scores) == len(got.boxes) <= points
    return got.boxes


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40))
def test_the_first_box_holds_the_thing_and_little_more(left: int, top: int) -> None:
    clip = RedFinder()
    box = found(picture(left, top, 18), clip)[0].tolist()
    grown = STEP * SIDE
    assert box[0] <= left and box[1] <= top and box[2] >= left + 18 and box[3] >= top + 18
    assert box[2] - box[0] <= 18 + 5 * grown and box[3] - box[1] <= 18 + 5 * grown


def test_coarse_to_fine_costs_at_most_half_of_every_place() -> None:
    clip = RedFinder()
    found(picture(20, 30, 18), clip)
    assert clip.views <= (len(squares_on_grid(SIDE, sizes=SIZES, step=STEP)) + 1) / 2


def test_boxes_lie_in_the_image_on_the_latent_grid_best_first() -> None:
    got = ground_words(
        RedFinder(), picture(0, 44, 20), words="red", sizes=SIZES, points=5, cell=CELL
    )
    assert bool((got.boxes >= 0).all()) and bool((got.boxes <= SIDE).all())
    assert bool((got.boxes % CELL == 0).all())
    assert got.scores.tolist() == sorted(got.scores.tolist(), reverse=True)


def test_words_that_are_nowhere_have_no_drop() -> None:
    image = torch.full((1, 3, SIDE, SIDE), 0.4)
    got = ground_words(RedFinder(), image, words="red", sizes=SIZES, points=1, cell=CELL)
    assert got.drop == pytest.approx(0.0, abs=1e-6) and len(got.boxes) == 1


def test_the_drops_scale_changes_nothing() -> None:
    boxes = squares_on_grid(SIDE, sizes=SIZES, step=STEP)
    drops = torch.rand(len(boxes), generator=torch.Generator().manual_seed(0))
    small, large = (ground_scores(boxes, scale * drops, side=SIDE) for scale in (0.01, 1.0))
    assert torch.allclose(small, large, atol=1e-5)


def test_a_hidden_box_is_bridged_from_border_to_border() -> None:
    ramp = torch.linspace(0, 1, SIDE).expand(1, 3, SIDE, SIDE).clone()
    marked = ramp.clone()
    marked[..., 10:30, 20:40] = 0.0
    box = torch.tensor([[20, 10, 40, 30]])
    assert torch.allclose(hide_boxes(marked, box), ramp, atol=1e-6)


def test_a_hidden_box_on_the_frame_shows_nothing_of_what_it_hides() -> None:
    image = picture(0, 0, 20)
    hidden = hide_boxes(image, torch.tensor([[0, 0, 20, 20]]))
    assert torch.allclose(hidden, torch.full_like(hidden, 0.4), atol=1e-6)


def test_pixels_outside_of_the_box_stay() -> None:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    hidden = hide_boxes(image, torch.tensor([[8, 12, 28, 32], [0, 0, 20, 20]]))
    assert torch.equal(hidden[:, :, 40:], image[:, :, 40:].expand(2, -1, -1, -1))


def test_of_boxes_that_are_nearly_one_the_better_stays() -> None:
    boxes = torch.tensor([[0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 60, 60]])
    assert suppress(boxes, torch.tensor([0.1, 0.9, 0.5]), overlap=OVERLAP) == [1, 2]


def test_a_grounded_set_is_ranked_by_what_the_words_lose(tmp_path: Path) -> None:
    config = load_config(Path("params.yaml"))
    models = Models(FakeAnchors(), RedFinder(), FakeInpainter())
    source = (picture(20, 30, 18)[0] * 255).to(torch.uint8)
    task = EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow")
    bank, _ = make_bank(
        models, task, source=source, config=config, how=config.proposal_set("grounded")
    )
    assert bank.ground is not None and bank.ground.shape == bank.losses.shape[:2]
    assert bank.ground[:, 0].tolist() == sorted(bank.ground[:, 0].tolist(), reverse=True)
    assert np.allclose(bank.merit("ground-loss"), bank.ground + bank.merit("loss"))
    assert 0 < bank.views <= 172
    write_bank(tmp_path / "new.safetensors", bank)
    assert np.array_equal(read_bank(tmp_path / "new.safetensors").merit("ground"), bank.ground)
    with pytest.raises(UserError, match="boxes: grounded"):
        replace(bank, ground=None).merit("ground")


def test_a_bank_of_before_there_was_grounding_is_read(tmp_path: Path) -> None:
    config = load_config(Path("params.yaml"))
    models = Models(FakeAnchors(), RedFinder(), FakeInpainter())
    source = (picture(20, 30, 18)[0] * 255).to(torch.uint8)
    task = EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow")
    how = config.proposal_set("truth").model_copy(update={"anchors": "centre", "boxes": "squares"})
    bank, _ = make_bank(models, task, source=source, config=config, how=how)
    write_bank(tmp_path / "bank.safetensors", bank)
    tables = read_tensors(tmp_path / "bank.safetensors")
    assert "ground" not in tables
    del tables["views"]
    write_tensors(tmp_path / "old.safetensors", tables)
    assert read_bank(tmp_path / "old.safetensors").views == 0


def test_a_search_that_finds_nothing_new_ends_there() -> None:
    class EmptyHanded(RedFinder):
        """CLIP as open_clip's is: a batch of no image is no batch."""

        def embed_images(self, images: Tensor) -> Tensor:
            assert len(images)
            return super().embed_images(images)

    assert len(found(picture(20, 0, 14), EmptyHanded()))
