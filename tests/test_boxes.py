"""Anchors and boxes: in the image, on the grid, around their anchor, rows before columns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lr_edit.boxes import (
    anchor_points,
    cells_to_pixels,
    grow_by_cells,
    pixels_to_cells,
    random_boxes,
    snap_box,
    square_boxes,
)
from lr_edit.types import Box

SIDE, CELL = 64, 4
few = settings(max_examples=30)
grids = st.tuples(st.integers(2, 32), st.integers(2, 32))


@st.composite
def anchors_on_grids(draw) -> tuple[torch.Tensor, tuple[int, int]]:
    grid = draw(grids)
    cells = st.tuples(st.integers(0, grid[0] - 1), st.integers(0, grid[1] - 1))
    return torch.tensor(draw(st.lists(cells, min_size=1, max_size=5))), grid


def assert_sound(boxes: torch.Tensor, anchors: torch.Tensor, grid: tuple[int, int]) -> None:
    """Half-open, inside the image, on the latent grid, around the anchor's centre."""
    left, top, right, bottom = boxes.unbind(-1)
    assert (boxes >= 0).all() and (boxes <= SIDE).all()
    assert (left < right).all() and (top < bottom).all()
    assert (boxes % CELL == 0).all()
    x, y = cells_to_pixels(anchors, grid=grid, side=SIDE)[:, None].unbind(-1)
    assert (left <= x).all() and (x <= right).all()
    assert (top <= y).all() and (y <= bottom).all()


@few
@given(anchors_on_grids(), st.lists(st.floats(0.01, 2.0), min_size=1, max_size=4))
def test_squares_are_sound_and_hold_the_size_they_were_asked_for(drawn, sizes) -> None:
    anchors, grid = drawn
    boxes = square_boxes(anchors, grid=grid, side=SIDE, sizes=sizes, cell=CELL)
    assert boxes.shape == (len(anchors), len(sizes), 4)
    assert_sound(boxes, anchors, grid)
    half = torch.tensor(sizes, dtype=torch.float64)[:, None] * SIDE / 2
    centre = cells_to_pixels(anchors, grid=grid, side=SIDE)[:, None]
    assert (boxes[..., :2] <= (centre - half).clamp(0, SIDE) + 1e-4).all()
    assert (boxes[..., 2:] >= (centre + half).clamp(0, SIDE) - 1e-4).all()
    assert (boxes[..., :2] > (centre - half).clamp(0, SIDE) - CELL - 1e-4).all()


@few
@given(anchors_on_grids(), st.integers(0, 99))
def test_random_boxes_are_sound_and_follow_their_generator(drawn, seed: int) -> None:
    anchors, grid = drawn
    first, second = (
        random_boxes(
            anchors, grid=grid, side=SIDE, draws=3, cell=CELL,
            generator=torch.Generator().manual_seed(seed),
        )
        for _ in range(2)
    )  # fmt: skip
    assert_sound(first, anchors, grid)
    assert torch.equal(first, second)


def test_random_sides_are_uniform_from_nothing_to_the_whole_image() -> None:
    boxes = random_boxes(
        torch.tensor([[0, 0]]), grid=(1, 1), side=512, draws=4000, cell=1,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    width, height = (boxes[0, :, 2:] - boxes[0, :, :2]).double().T
    for extent in (width, height):
        assert abs(extent.mean() - 257) < 8  # snapping outward adds a pixel on average
        assert extent.min() < 5 and extent.max() > 508
    assert abs(torch.corrcoef(torch.stack([width, height]))[0, 1]) < 0.05


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 64), st.integers(1, 64))
def test_snapping_is_outward_least_and_stable(left: int, top: int, wide: int, high: int) -> None:
    box = Box(left, top, min(SIDE, left + wide), min(SIDE, top + high))
    snapped = snap_box(box, cell=CELL, side=SIDE)
    assert all(v % CELL == 0 for v in snapped.as_tuple())
    assert box.left - CELL < snapped.left <= box.left and box.top - CELL < snapped.top <= box.top
    assert box.right <= snapped.right < box.right + CELL
    assert box.bottom <= snapped.bottom < box.bottom + CELL
    assert snap_box(snapped, cell=CELL, side=SIDE) == snapped


def test_a_side_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        snap_box(Box(0, 0, 4, 4), cell=4, side=66)


@given(anchors_on_grids())
def test_cells_to_pixels_and_back_is_the_identity(drawn) -> None:
    cells, grid = drawn
    pixels = cells_to_pixels(cells, grid=grid, side=SIDE)
    assert torch.equal(pixels_to_cells(pixels, grid=grid, side=SIDE), cells)


def test_pixels_are_x_before_y_and_cells_row_before_column() -> None:
    pixels = cells_to_pixels(torch.tensor([[8, 22]]), grid=(32, 32), side=256)
    assert pixels.tolist() == [[180.0, 68.0]]


@few
@given(grids, st.integers(1, 6), st.integers(0, 99))
def test_anchors_are_the_highest_cells_in_order(grid, points: int, seed: int) -> None:
    points = min(points, grid[0] * grid[1])
    attention = torch.rand(grid, generator=torch.Generator().manual_seed(seed))
    chosen = anchor_points(attention, points=points)
    values = attention[chosen[:, 0], chosen[:, 1]]
    assert torch.equal(values, attention.flatten().sort(descending=True).values[:points])


def test_equal_attention_goes_by_index() -> None:
    chosen = anchor_points(torch.ones(3, 4), points=5)
    assert chosen.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]]


@few
@given(st.floats(0, 5), st.integers(0, 99))
def test_anchors_keep_their_distance(distance: float, seed: int) -> None:
    attention = torch.rand(16, 16, generator=torch.Generator().manual_seed(seed))
    chosen = anchor_points(attention, points=4, distance=distance).double()
    apart = torch.cdist(chosen, chosen)[~torch.eye(4, dtype=torch.bool)]
    assert (apart >= distance - 1e-6).all()


def test_too_few_legal_cells_are_filled_with_the_highest_of_all() -> None:
    attention = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    chosen = anchor_points(attention, points=9, margin=15.0)
    assert len(chosen[:4].unique(dim=0)) == 4
    assert ((chosen[:4] >= 15) & (chosen[:4] <= 16)).all()
    assert torch.equal(chosen[4:], anchor_points(attention, points=5))


@few
@given(
    st.tuples(*[st.integers(0, 15)] * 4),
    st.lists(st.integers(-6, 20), min_size=1, max_size=4),
)
def test_grown_boxes_lie_in_the_image_and_keep_a_cell(
    places: tuple[int, ...], growths: list[int]
) -> None:
    x, y, wide, high = places
    box = torch.tensor([[x, y, min(16, x + 1 + wide), min(16, y + 1 + high)]]) * CELL
    grown = grow_by_cells(box, (0, *growths), side=SIDE, cell=CELL)
    assert torch.equal(grown[:, 0], box)
    assert grown.min() >= 0 and grown.max() <= SIDE and not (grown % CELL).any()
    assert ((grown[..., 2:] - grown[..., :2]) >= CELL).all()
    for growth, one in zip(growths, grown[0, 1:], strict=True):
        if growth > 0:  # moved out on all sides, as far as the image goes
            left, top, right, bottom = (
                box[0] + torch.tensor([-1, -1, 1, 1]) * growth * CELL
            ).tolist()
            inside = [max(0, left), max(0, top), min(SIDE, right), min(SIDE, bottom)]
            assert one.tolist() == inside
