"""Proposal sets: the words they ask for, where their anchors are, and what boxes they draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lr_edit.config import Config, load_config
from lr_edit.errors import UserError
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import draw_boxes, place_anchors, task_with_prompt
from lr_edit.types import Box, EditTask, Label, Truth

TASK = EditTask("t", Path("t.png"), "a boat", "a fish")
SIDE, CELL = 64, 4


def proposals(anchors: str, boxes: str = "squares", **options: Any) -> ProposalSet:
    propose = {"points": 9, "sizes": (0.25, 0.5), **options.pop("propose", {})}
    how = {"anchors": anchors, "boxes": boxes, "propose": propose, "inpaint": {}, **options}
    return ProposalSet.model_validate(how)


def draw(how: ProposalSet, scores: torch.Tensor, *, seed: int = 3) -> torch.Tensor:
    """Anchors and then boxes of a set on a map."""
    anchors = place_anchors(scores, proposals=how, seed=seed)
    return draw_boxes(TASK, anchors, scores=scores, proposals=how, side=SIDE, cell=CELL, seed=seed)


@given(st.integers(0, 2**40))
def test_random_anchors_are_distinct_cells_and_depend_on_the_seed_alone(seed: int) -> None:
    first, again = (
        place_anchors(torch.rand(8, 6), proposals=proposals("random"), seed=seed) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert len(set(map(tuple, first.tolist()))) == 9
    assert (first >= 0).all() and (first < torch.tensor([8, 6])).all()


def test_centre_boxes_stand_about_the_middle_and_reach_the_border() -> None:
    how = proposals("centre", propose={"sizes": (0.25, 0.5, 1.0)})
    expected = [[[24, 24, 40, 40], [16, 16, 48, 48], [0, 0, 64, 64]]]
    assert draw(how, torch.rand(8, 8)).tolist() == expected


def test_a_set_states_its_own_points_sizes_and_distance() -> None:
    scores = torch.arange(64.0).view(8, 8)
    assert draw(proposals("dino"), scores).shape == (9, 2, 4)
    own = proposals("dino", propose={"sizes": (0.5,), "points": 3, "distance": 3.0})
    anchors = place_anchors(scores, proposals=own, seed=0)
    assert anchors.tolist() == [[7, 7], [7, 4], [7, 1]]
    assert draw(own, scores).shape == (3, 1, 4)


@pytest.mark.parametrize("kind", ["dino", "relevance", "diffedit"])
def test_anchors_of_a_map_are_its_highest_cells(kind: str) -> None:
    scores = torch.zeros(8, 16)
    scores[1, 12], scores[6, 3] = 2, 1
    anchors = place_anchors(scores, proposals=proposals(kind, propose={"points": 2}), seed=0)
    assert anchors.tolist() == [[1, 12], [6, 3]]


def test_nine_anchors_of_a_grid_are_three_rows_of_three() -> None:
    anchors = place_anchors(torch.rand(8, 8), proposals=proposals("grid"), seed=0)
    assert anchors.tolist() == [[row, col] for row in (1, 4, 6) for col in (1, 4, 6)]
    five = proposals("grid", propose={"points": 5})
    assert torch.equal(place_anchors(torch.rand(8, 8), proposals=five, seed=0), anchors[:5])


@given(st.integers(0, 999), st.sampled_from([(8, 8), (16, 16), (5, 9)]))
def test_a_threshold_box_holds_every_high_cell_and_touches_one_on_each_side(seed, grid) -> None:
    scores = np.random.default_rng(seed).normal(size=grid) ** 3
    box = draw(proposals("diffedit", "threshold"), torch.from_numpy(scores).float())
    kept = np.maximum(scores, 0)
    rows, cols = np.nonzero(kept >= min(kept.max(), 3 * kept.mean()) / 2)
    step = np.array([SIDE / grid[1], SIDE / grid[0]])
    low = np.array([cols.min(), rows.min()]) * step
    high = np.array([cols.max() + 1, rows.max() + 1]) * step
    expected = [*(np.floor(low / CELL) * CELL), *(np.ceil(high / CELL) * CELL)]
    assert box.tolist() == [[[int(edge) for edge in expected]]]


@pytest.mark.parametrize("value", [0.0, -1.0, 0.5])
def test_a_flat_map_has_no_place_and_gives_the_whole_image(value: float) -> None:
    how = proposals("relevance", "threshold")
    assert draw(how, torch.full((8, 8), value)).tolist() == [[[0, 0, SIDE, SIDE]]]


def test_the_thing_asked_for_stands_alone_and_in_its_template() -> None:
    how = proposals("dino", prompt="object", template="an image of {}.")
    known = EditTask(
        "t", Path("t.png"), "a boat", "a fish and a cup on snow",
        truth=Truth(Box(0, 0, 8, 8), Label("fish", "orange")),
    )  # fmt: skip
    assert task_with_prompt(known, proposals=how).prompt == "an image of an orange fish."
    gone = EditTask("t", Path("t.png"), "a boat", "snow", truth=Truth(Box(0, 0, 8, 8), None))
    assert task_with_prompt(gone, proposals=how).prompt == "an image of nothing."
    assert task_with_prompt(known, proposals=proposals("dino")) == known
    with pytest.raises(UserError, match="'t' does not say which thing it asks for"):
        task_with_prompt(TASK, proposals=how)


@pytest.mark.parametrize(
    ("anchors", "boxes"),
    [("truth", "squares"), ("dino", "truth"), ("released", "squares"), ("grid", "threshold")],
)
def test_what_does_not_belong_together_is_refused(anchors: str, boxes: str) -> None:
    with pytest.raises(ValueError, match="anchors"):
        proposals(anchors, boxes)


def test_growths_hold_the_box_as_it_was_found(tmp_path: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())

    def load(params: dict[str, Any]) -> Config:
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        return load_config(tmp_path / "params.yaml")

    found: dict[str, Any] = {"anchors": "grounding", "boxes": "grounded"}
    params["proposals"]["own"] = found
    found["anchors"] = "nope"
    with pytest.raises(UserError, match="'grounding', 'occlusion', 'detector'"):
        load(params)
    found |= {"anchors": "grounding", "propose": {"growths": [1, 2]}}
    with pytest.raises(UserError, match="growths must hold 0"):
        load(params)
    found |= {"anchors": "centre", "boxes": "squares", "propose": {"growths": [0, 1]}}
    with pytest.raises(UserError, match="boxes squares do not grow"):
        load(params)
    found |= {"anchors": "grounding", "boxes": "grounded"}
    found["propose"] = {"points": 2, "growths": [0, -1]}
    assert load(params).proposal_set("own").most == (2, 2)
