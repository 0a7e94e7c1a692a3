"""The method sees one square; each box is inpainted in a frame of the photo, and is kept for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lr_edit.boxes import grow_by_cells
from lr_edit.frame import frame_box, frame_photo
from lr_edit.framed_anchors import FramedAnchors
from lr_edit.framed_models import Canvas, FramedInpainter, match_colours
from lr_edit.grounding import Grounding
from lr_edit.propose import keep_in_picture
from lr_edit.saliency import Saliency
from lr_edit.types import Box, Sampler
from tests.fakes import FakeAnchors, FakeInpainter

SIDE, CELL = 64, 4
SAMPLER = Sampler(steps=2, guidance=1.0, guided=0.0)


def canvas(width: int, height: int, **how: Any) -> Canvas:
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Canvas(photo, frame_photo(width, height), SIDE, CELL, **how)


def masks(*boxes: Box) -> torch.Tensor:
    found = torch.zeros(len(boxes), 1, SIDE, SIDE, dtype=torch.bool)
    for mask, box in zip(found, boxes, strict=True):
        mask[:, box.top : box.bottom, box.left : box.right] = True
    return found


def inpaint(model: FramedInpainter, one: Canvas, *boxes: Box) -> torch.Tensor:
    return model.inpaint(
        one.square[None].float() / 255, "a fish", masks=masks(*boxes),
        noise=model.noise(SIDE, 0), sampler=SAMPLER,
    )  # fmt: skip


def test_a_box_in_context_is_inpainted_in_its_own_square_of_the_photo() -> None:
    one = canvas(640, 320, context=True)
    model = FramedInpainter(FakeInpainter(), one)
    boxes = [Box(8, 20, 16, 28), Box(40, 24, 56, 40)]
    before = model.nfe
    made = inpaint(model, one, *boxes)
    assert model.nfe - before == 2 * model.nfe_per_image(SAMPLER)
    square = one.square.float() / 255
    for box, picture in zip(boxes, made, strict=True):
        kept = model.made[box]
        assert kept.place == one.place(box)
        assert kept.frame == frame_box(kept.place, side=SIDE, width=640, height=320)
        changed = (picture != square).any(0)
        assert changed[box.top : box.bottom, box.left : box.right].any()
        changed[box.top : box.bottom, box.left : box.right] = False
        assert not changed.any()


def test_boxes_of_the_whole_photo_are_inpainted_together_as_without_frames() -> None:
    one, plain = canvas(64, 64), FakeInpainter()
    boxes = [Box(8, 20, 16, 28), Box(40, 24, 56, 40)]
    model = FramedInpainter(FakeInpainter(), one)
    expected = plain.inpaint(
        one.square[None].float() / 255, "a fish", masks=masks(*boxes),
        noise=plain.noise(SIDE, 0), sampler=SAMPLER,
    )  # fmt: skip
    assert torch.equal(inpaint(model, one, *boxes), expected)


@pytest.mark.parametrize("context", [False, True])
def test_an_inpainter_is_given_the_photo_in_its_own_shape(context: bool) -> None:
    class Watched(FakeInpainter):
        seen: tuple[int, ...] = ()

        def inpaint(self, image: Tensor, prompt: str, **how: Any) -> Tensor:
            self.seen = image.shape
            assert how["masks"].shape[2:] == how["noise"].shape[2:] == image.shape[2:]
            return super().inpaint(image, prompt, **how)

    one, watched = canvas(640, 150, context=context), Watched()
    assert one.bucket(one.whole) == Box(0, 24, 64, 40)  # 15 pixels of 64, in eighths
    model, box = FramedInpainter(watched, one), Box(16, 25, 40, 40)
    made = inpaint(model, one, box)[0]
    assert watched.seen == ((1, 3, 32, 64) if context else (1, 3, 16, 64))
    square = one.square.float() / 255
    assert torch.equal(made[:, :24], square[:, :24]) and torch.equal(made[:, 40:], square[:, 40:])
    assert (made != square)[:, 25:39, 16:40].any()


@given(
    width=st.integers(1, 3000), height=st.integers(1, 3000), side=st.integers(2, 40),
    cell=st.sampled_from([1, 4, 8, 16]),
)  # fmt: skip
def test_a_bucket_holds_the_photo_in_whole_cells(
    width: int, height: int, side: int, cell: int
) -> None:
    side *= cell
    one = Canvas(np.zeros((height, width, 3), np.uint8), frame_photo(width, height), side, cell)
    part, found = one.part, one.bucket(one.whole)
    assert 0 <= found.left <= part.left < part.right <= found.right <= side
    assert 0 <= found.top <= part.top < part.bottom <= found.bottom <= side
    assert all(edge % cell == 0 for edge in vars(found).values())
    step = side / 8 + cell
    assert found.bottom - found.top < part.bottom - part.top + 2 * step


def test_what_is_no_picture_stays_none() -> None:
    class Broken(FakeInpainter):
        def inpaint(self, *args: Any, **how: Any) -> torch.Tensor:
            return super().inpaint(*args, **how) * torch.nan

    one = canvas(200, 200, context=True)
    model = FramedInpainter(Broken(), one)
    assert inpaint(model, one, Box(8, 20, 16, 28)).isnan().all()


def test_black_on_black_is_kept_like_any_edit() -> None:
    class Black(FakeInpainter):
        def inpaint(self, *args: Any, **how: Any) -> torch.Tensor:
            return super().inpaint(*args, **how) * 0

    one = replace(canvas(200, 200, context=True), photo=np.zeros((200, 200, 3), dtype=np.uint8))
    model = FramedInpainter(Black(), one)
    assert not inpaint(model, one, Box(8, 20, 16, 28)).any()
    assert not model.made[Box(8, 20, 16, 28)].patch.any()


def test_a_cell_that_a_mask_touches_is_inpainted() -> None:
    one = canvas(64, 64, mask=np.eye(64, dtype=bool))
    inside = one.inside(Box(0, 0, 64, 64), one.whole)[0, 0]
    assert torch.equal(inside, torch.eye(16, dtype=torch.bool).repeat_interleave(4, 0)
                       .repeat_interleave(4, 1))  # fmt: skip


def test_anchors_stand_in_the_photo_alone() -> None:
    one = canvas(640, 160)
    assert one.part == Box(0, 24, 64, 40)
    found = FramedAnchors(FakeAnchors(), part=one.part, side=SIDE)
    attention = found.attention(one.square[None].float() / 255)[0]
    assert not attention[:6].any() and not attention[10:].any() and attention[6:10].any()


def test_the_anchor_model_is_shown_the_photo_alone() -> None:
    one, shown = canvas(160, 640), FakeAnchors()
    image = one.square[None].float() / 255
    found = FramedAnchors(shown, part=one.part, side=SIDE)
    attention, features = found.attention(image), found.features(image)
    assert [picture.shape for picture in shown.seen] == [(1, 3, 64, 16)]
    assert attention.shape == (1, 16, 16) and features.shape[2:] == (16, 16)
    alone = FakeAnchors().features(image[..., one.part.left : one.part.right])
    assert torch.equal(features[..., 6:10], alone)
    assert not features[..., :6].any() and not features[..., 10:].any()


def test_boxes_end_where_the_photo_does_and_found_ones_beyond_it_are_left_out() -> None:
    boxes = torch.tensor([[0, 20, 16, 36], [0, 0, 16, 16], [0, 26, 16, 34]])[:, None]
    grid = torch.zeros(1, 1)
    maps = Saliency(grid, torch.zeros(1, 1, 1), grid, grid, nfe=0)
    anchors = torch.arange(6).view(3, 2)
    part = Box(0, 24, 64, 40)
    _, _, cut = keep_in_picture((maps, anchors, boxes), part)
    assert cut[:, 0].tolist() == [[0, 24, 16, 36], [0, 24, 16, 25], [0, 26, 16, 34]]
    grounding = Grounding(boxes[:, 0], torch.tensor([0.3, 0.2, 0.1]), drop=1.0, views=3)
    found, kept, cut = keep_in_picture((replace(maps, grounding=grounding), anchors, boxes), part)
    assert cut[:, 0].tolist() == [[0, 24, 16, 36], [0, 26, 16, 34]]
    assert kept.tolist() == [[0, 1], [4, 5]] and found.grounding is not None
    assert found.grounding.boxes.tolist() == cut[:, 0].tolist()
    grown = grow_by_cells(boxes[:, 0], (-1, 0), side=64, cell=4)
    wider, _, both = keep_in_picture((replace(maps, grounding=grounding), anchors, grown), part)
    assert wider.grounding is not None
    assert torch.equal(both[:, 1], cut[:, 0]) and torch.equal(wider.grounding.boxes, cut[:, 0])
    nowhere, _, cut = keep_in_picture((found, kept, cut), Box(32, 0, 64, 64))
    assert nowhere.grounding is not None and nowhere.grounding.drop == -np.inf
    assert cut.tolist() == [[[32, 0, 64, 64]]]


def test_colours_are_matched_about_the_mask() -> None:
    source = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2
    inside = masks(Box(16, 16, 40, 40))
    darker = source - torch.tensor([0.1, 0.0, 0.05])[None, :, None, None]
    assert torch.allclose(match_colours(darker, source, inside=inside), source, atol=1e-6)
    everywhere = torch.ones_like(inside)
    assert torch.equal(match_colours(darker, source, inside=everywhere), darker)
