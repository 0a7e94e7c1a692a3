"""Frames keep a photo's shape; what was made in one is laid back where it was seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lr_edit.frame import CONTEXT, fade, frame_box, frame_photo, lay_over
from lr_edit.types import Box

SIDE = 64
sizes = st.integers(1, 300)


@st.composite
def placed(draw: st.DrawFn) -> tuple[int, int, Box]:
    """A photo's width and height, and a box in it."""
    width, height = draw(sizes), draw(sizes)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    return width, height, Box(left, top, right, bottom)


def test_what_is_round_in_a_photo_is_round_to_the_models() -> None:
    photo = np.zeros((100, 300, 3), dtype=np.uint8)
    rows, columns = np.ogrid[:100, :300]
    photo[(rows - 50) ** 2 + (columns - 150) ** 2 < 30**2] = 255
    seen = frame_photo(300, 100).view(photo, side=SIDE)[..., 0] > 127
    assert seen.any(0).sum() == seen.any(1).sum() == 12 or abs(seen.any(0).sum() - 13) <= 1
    assert abs(int(seen.any(0).sum()) - int(seen.any(1).sum())) <= 1


def test_beyond_a_photo_its_edge_is_repeated_and_nothing_else_is_seen() -> None:
    photo = np.full((10, 40, 3), 90, dtype=np.uint8)
    photo[0] = 200
    seen = frame_photo(40, 10).view(photo, side=40)
    assert (seen[:15] == 200).all() and (seen[16:] == 90).all()


@given(placed())
def test_a_box_s_frame_holds_it_with_context_and_stays_in_the_photo(
    there: tuple[int, int, Box],
) -> None:
    width, height, box = there
    frame = frame_box(box, side=SIDE, width=width, height=height)
    assert frame.width == frame.height <= max(width, height)
    assert frame.left <= box.left and frame.left + frame.width >= box.right
    assert frame.top <= box.top and frame.top + frame.height >= box.bottom
    if frame.width <= min(width, height):
        assert frame.left >= 0 and frame.left + frame.width <= width
        assert frame.top >= 0 and frame.top + frame.height <= height
    longer = max(box.right - box.left, box.bottom - box.top)
    assert frame.width >= min(CONTEXT * longer, max(width, height))


@given(placed())
def test_a_box_goes_to_the_square_and_comes_back(there: tuple[int, int, Box]) -> None:
    width, height, box = there
    frame = frame_photo(width, height)
    back = frame.to_photo(frame.to_square(box, side=512), side=512, width=width, height=height)
    assert np.abs(np.subtract(back.as_tuple(), box.as_tuple())).max() <= 1
    assert back.right <= width and back.bottom <= height


@given(placed(), st.floats(0, 9), st.booleans())
def test_only_the_box_changes_or_the_mask_in_it(
    there: tuple[int, int, Box], feather: float, masked: bool
) -> None:
    width, height, box = there
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    mask = rng.random((height, width)) < 0.5 if masked else None
    frame = frame_box(box, side=SIDE, width=width, height=height)
    patch = np.full((SIDE, SIDE, 3), 255, dtype=np.uint8)
    found = lay_over(photo, patch, frame=frame, box=box, feather=feather, mask=mask)
    may = np.zeros((height, width), dtype=bool)
    may[box.top : box.bottom, box.left : box.right] = True
    may &= True if mask is None else mask
    assert (found[~may] == photo[~may]).all()
    if may.any():
        assert (found[may] == 255).all(1).any()  # somewhere it is the edit alone


def test_what_was_made_comes_back_where_it_was_seen() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    box = Box(50, 20, 82, 52)
    frame = frame_box(box, side=SIDE, width=120, height=90)
    assert frame.width == SIDE  # at the photo's own resolution
    same = lay_over(photo, frame.view(photo, side=SIDE), frame=frame, box=box, feather=2)
    assert (same == photo).all()


@pytest.mark.parametrize("box", [Box(0, 0, 9, 9), Box(0, 2, 9, 7), Box(3, 3, 6, 6)])
def test_the_seam_fades_inward_but_not_from_the_photo_s_border(box: Box) -> None:
    weight = fade(box, shape=(9, 9), feather=2)
    assert weight.max() == 1
    assert (weight[0, 0] == 1) == (box.as_tuple() == (0, 0, 9, 9))
    assert weight[len(weight) // 2, 0] == (1 if box.left == 0 else 0.5)
