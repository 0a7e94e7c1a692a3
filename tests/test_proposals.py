"""Proposal sets: where their anchors are, and what boxes they draw."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from lr_edit.config import Inpaint, ProposalSet, Propose
from lr_edit.proposals import draw_boxes, place_anchors
from lr_edit.types import EditTask

TASK = EditTask("t", Path("t.png"), "a boat", "a fish")
PROPOSE = Propose(points=9, sizes=(0.25, 0.5), distance=0.0, margin=0.0)
INPAINT = Inpaint.model_validate({})


def boxes(how: ProposalSet, anchors: torch.Tensor) -> torch.Tensor:
    return draw_boxes(
        TASK, anchors, proposals=how, grid=(8, 8), side=64, cell=4, sizes=PROPOSE.sizes, seed=3
    )


@given(st.integers(0, 2**40))
def test_random_anchors_are_distinct_cells_and_depend_on_the_seed_alone(seed: int) -> None:
    how = ProposalSet(anchors="random", boxes="squares", draws=1, inpaint=INPAINT)
    first, again = (
        place_anchors(torch.rand(8, 6), proposals=how, propose=PROPOSE, seed=seed) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert len(set(map(tuple, first.tolist()))) == 9
    assert (first >= 0).all() and (first < torch.tensor([8, 6])).all()


def test_centre_boxes_stand_about_the_middle_and_reach_the_border() -> None:
    how = ProposalSet(
        anchors="centre", boxes="squares", draws=1, sizes=(0.25, 0.5, 1.0), inpaint=INPAINT
    )
    anchors = place_anchors(torch.rand(8, 8), proposals=how, propose=PROPOSE, seed=0)
    assert boxes(how, anchors).tolist() == [[[24, 24, 40, 40], [16, 16, 48, 48], [0, 0, 64, 64]]]


def test_a_sets_own_sizes_stand_before_the_studys() -> None:
    attention = torch.arange(64.0).view(8, 8)
    own = ProposalSet(anchors="dino", boxes="squares", draws=1, sizes=(0.5,), inpaint=INPAINT)
    studys = ProposalSet(anchors="dino", boxes="squares", draws=1, inpaint=INPAINT)
    anchors = place_anchors(attention, proposals=own, propose=PROPOSE, seed=0)
    assert boxes(own, anchors).shape == (9, 1, 4) and boxes(studys, anchors).shape == (9, 2, 4)
    assert torch.equal(boxes(own, anchors)[:, 0], boxes(studys, anchors)[:, 1])
