"""Success is the right thing at the right place, and every bystander as it was."""

from __future__ import annotations

import math

import pytest
import torch

from eval.metrics.success import UNKNOWN, Verdict, edit_success, verdict
from lr_edit.types import Box, Label, Truth
from tests.eval.networks import FakeJudge

PLACE, ASIDE = Box(0, 0, 4, 4), Box(8, 8, 12, 12)
CUP = (Label("ball", "green"), ASIDE)
REPLACE = Truth(PLACE, Label("ball", "red"), (CUP,))
SEEN = ("ball", "green")


@pytest.mark.parametrize(
    ("place", "bystander", "want"),
    [
        (("ball", "red"), SEEN, Verdict(1, 1, 1)),
        (("ball", "red"), ("ball", "red"), Verdict(1, 1, 0)),
        (("ball", "red"), ("none", "none"), Verdict(1, 1, 0)),
        (("ball", "blue"), SEEN, Verdict(1, 0, 0)),
        (("star", "red"), SEEN, Verdict(0, 1, 0)),
        (("none", "none"), SEEN, Verdict(0, 0, 0)),
    ],
)
def test_replacing_needs_kind_colour_and_unchanged_bystanders(
    place: tuple[str, str], bystander: tuple[str, str], want: Verdict
) -> None:
    assert verdict(REPLACE, place, bystanders=[bystander]) == want


@pytest.mark.parametrize(
    ("place", "bystander", "success"),
    [("none", SEEN, 1.0), ("ball", SEEN, 0.0), ("none", ("ball", "red"), 0.0)],
)
def test_removing_needs_nothing_to_stand_there(
    place: str, bystander: tuple[str, str], success: float
) -> None:
    got = verdict(Truth(PLACE, None, (CUP,)), (place, "red"), bystanders=[bystander])
    assert got.success == success and math.isnan(got.colour)


def scene(**spots: tuple[float, float, float]) -> torch.Tensor:
    """(1, 3, 12, 12), dark but for colours at named 4x4 places."""
    image = torch.zeros(1, 3, 12, 12)
    for name, colour in spots.items():
        box = {"place": PLACE, "aside": ASIDE, "corner": Box(8, 0, 12, 4)}[name]
        image[0, :, box.top : box.bottom, box.left : box.right] = torch.tensor(colour)[
            :, None, None
        ]
    return image


RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1)


def test_every_edit_is_looked_at_in_the_true_box_whatever_was_chosen() -> None:
    edits = torch.cat(
        [scene(place=RED, aside=GREEN), scene(place=GREEN, aside=GREEN), scene(place=RED)]
    )
    boxes = [Box(8, 0, 12, 4)] * 3
    got = edit_success(edits, boxes, truth=REPLACE, judge=FakeJudge())
    assert [one.success for one in got] == [1, 0, 0]


def test_an_added_thing_is_looked_for_in_the_chosen_box() -> None:
    truth = Truth(None, Label("ball", "red"), (CUP,))
    edits = torch.cat([scene(corner=RED, aside=GREEN)] * 2)
    got = edit_success(edits, [Box(8, 0, 12, 4), PLACE], truth=truth, judge=FakeJudge())
    assert [one.success for one in got] == [1, 0]


@pytest.mark.parametrize("truth", [None, Truth(None, None, (CUP,))])
def test_without_a_truth_nothing_is_said(truth: Truth | None) -> None:
    got = edit_success(scene(), [PLACE], truth=truth, judge=FakeJudge())
    assert got == [UNKNOWN]
