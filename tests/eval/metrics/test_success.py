"""Success: what was wanted stands where it was inpainted, nothing of the old is left, the rest is
as it was."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.success import UNKNOWN, Verdict, edit_success, old_label, squares_in
from lr_edit.types import Box, Label, Truth
from tests.eval.networks import FakeJudge

SIDE = 32
PLACE, ASIDE, CORNER = Box(4, 4, 12, 12), Box(20, 20, 28, 28), Box(20, 0, 32, 12)
CUP = (Label("ball", "green"), ASIDE)
REPLACE = Truth(PLACE, Label("ball", "red"), (CUP,))
RED, GREEN, BLUE, WHITE = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1), (0.1, 0.1, 0.9), (0.9, 0.9, 0.9)
AROUND = Box(2, 2, 14, 14)


def scene(**spots: tuple[float, float, float]) -> torch.Tensor:
    """(1, 3, side, side), dark but for colours at named places; `ground` is everywhere."""
    places = {
        "ground": Box(0, 0, SIDE, SIDE), "place": PLACE, "aside": ASIDE,
        "half": Box(4, 4, 8, 12), "corner": Box(24, 2, 30, 8),
    }  # fmt: skip
    image = torch.full((1, 3, SIDE, SIDE), 0.05)
    for name, colour in spots.items():
        box = places[name]
        image[0, :, box.top : box.bottom, box.left : box.right] = torch.tensor(colour)[
            :, None, None
        ]
    return image


def judge(
    after: torch.Tensor,
    inpainted: Box,
    *,
    truth: Truth = REPLACE,
    words: str = "a white star",
) -> Verdict:
    before = scene(place=WHITE, aside=GREEN)
    (one,) = edit_success(
        before, after, boxes=[inpainted], truth=truth, words=words, judge=FakeJudge()
    )
    return one


def test_the_wanted_thing_in_the_place_of_the_old_one_is_success() -> None:
    got = judge(scene(place=RED, aside=GREEN), AROUND)
    assert got == Verdict(1, 1, 1, 1, 1, 1, 1)


def test_the_wanted_thing_elsewhere_in_the_inpainted_box_is_success_and_not_in_place() -> None:
    got = judge(scene(corner=RED, aside=GREEN), Box(2, 0, 32, 14))
    assert (got.success, got.placed, got.gone, got.in_place) == (1, 1, 1, 0)


def test_the_wanted_thing_outside_of_what_was_inpainted_does_not_count() -> None:
    got = judge(scene(corner=RED, aside=GREEN), AROUND)
    assert (got.placed, got.success) == (0, 0)


@pytest.mark.parametrize("colour", [BLUE, WHITE])
def test_another_thing_is_no_success(colour: tuple[float, float, float]) -> None:
    got = judge(scene(place=colour, aside=GREEN), AROUND)
    assert (got.placed, got.success, got.kept) == (0, 0, 1)


def test_a_half_of_the_old_thing_that_is_left_is_no_success() -> None:
    after = scene(place=RED, half=WHITE, aside=GREEN)
    got = judge(after, Box(8, 2, 14, 14))
    assert (got.placed, got.gone, got.success, got.in_place) == (1, 0, 0, 1)


def test_a_sliver_in_the_fading_seam_is_a_remain() -> None:
    after = scene(place=RED, aside=GREEN)
    after[..., 4:12, 4] = 0.6  # two thirds of the old white
    assert judge(after, Box(4, 2, 14, 14)).gone == 0
    assert judge(after, AROUND).gone == 1  # well inside: it was inpainted


def test_a_bystander_that_changed_is_no_success() -> None:
    for after in (scene(place=RED, aside=BLUE), scene(place=RED)):
        got = judge(after, AROUND)
        assert (got.placed, got.gone, got.kept, got.success) == (1, 1, 0, 0)
    scratched = scene(place=RED, aside=GREEN)
    scratched[..., 20:22, 20:28] = 0.5  # its middle is as it was: only the pixels tell
    assert judge(scratched, AROUND).kept == 0


def test_reinpainting_the_ground_is_no_success() -> None:
    got = judge(scene(ground=(0.1, 0.1, 0.2), place=RED, aside=GREEN), Box(0, 0, SIDE, SIDE))
    assert (got.placed, got.gone, got.kept, got.success) == (1, 1, 0, 0)


def test_removing_needs_nothing_to_stand_there() -> None:
    truth = Truth(PLACE, None, (CUP,))
    got = judge(scene(aside=GREEN), AROUND, truth=truth)
    assert got.success == got.gone == got.in_place == 1
    assert math.isnan(got.placed) and math.isnan(got.success_colour)
    assert judge(scene(place=RED, aside=GREEN), AROUND, truth=truth).success == 0
    assert judge(scene(half=WHITE, aside=GREEN), Box(8, 2, 14, 14), truth=truth).success == 0


def test_an_added_thing_is_looked_for_in_the_inpainted_box() -> None:
    truth = Truth(None, Label("ball", "red"), (CUP,))
    after = scene(place=WHITE, corner=RED, aside=GREEN)
    got = judge(after, CORNER, truth=truth, words="sand")
    assert got.success == 1 and math.isnan(got.gone)
    assert judge(after, AROUND, truth=truth, words="sand").success == 0


def test_verdicts_are_those_of_the_edits_one_by_one() -> None:
    edits = torch.cat([scene(place=RED, aside=GREEN), scene(place=RED), scene(aside=GREEN)])
    together = edit_success(
        scene(place=WHITE, aside=GREEN), edits, boxes=[AROUND] * 3, truth=REPLACE,
        words="a white star", judge=FakeJudge(),
    )  # fmt: skip
    assert together == [judge(edits[at : at + 1], AROUND) for at in range(3)]


@pytest.mark.parametrize("truth", [None, Truth(None, None, (CUP,))])
def test_without_a_truth_nothing_is_said(truth: Truth | None) -> None:
    got = edit_success(
        scene(), scene(), boxes=[PLACE], truth=truth, words="a white star", judge=FakeJudge()
    )
    assert got == [UNKNOWN]


def test_source_words_name_a_kind_and_a_colour() -> None:
    assert old_label("an orange cup") == Label("cup", "orange")
    assert old_label("sand") == Label("sand", "")


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 64), st.integers(1, 64))
def test_squares_lie_in_the_picture_and_about_the_box(
    left: int, top: int, wide: int, high: int
) -> None:
    box = Box(left, top, min(64, left + wide), min(64, top + high))
    for square in squares_in(box, side=64):
        assert square.right <= 64 and square.bottom <= 64
        assert square.left < box.right and box.left < square.right
        assert square.top < box.bottom and box.top < square.bottom
