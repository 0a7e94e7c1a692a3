"""Photos of any size: boxes map back exactly, and nothing outside the box changes by a bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lr_edit.errors import Notice, UserError
from lr_edit.photo import photo_to_square, square_to_photo, working_image
from lr_edit.types import Box
from lr_edit.workspace.storage import read_image

SIDE = 64


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
    return Box(left, top, draw(st.integers(left + 1, SIDE)), draw(st.integers(top + 1, SIDE)))


sizes = st.integers(SIDE, 40 * SIDE)


@given(boxes(), sizes, sizes)
def test_a_box_of_the_square_comes_back_from_the_photo_as_it_was(
    box: Box, width: int, height: int
) -> None:
    there = square_to_photo(box, side=SIDE, width=width, height=height)
    assert there.right <= width and there.bottom <= height
    assert photo_to_square(there, side=SIDE, width=width, height=height) == box


@given(boxes(), st.integers(1, 3 * SIDE), st.integers(1, 3 * SIDE))
def test_a_box_has_its_place_in_a_photo_of_any_size(box: Box, width: int, height: int) -> None:
    there = square_to_photo(box, side=SIDE, width=width, height=height)
    assert there.right <= width and there.bottom <= height
    whole = square_to_photo(Box(0, 0, SIDE, SIDE), side=SIDE, width=width, height=height)
    assert whole == Box(0, 0, width, height)


def test_columns_and_rows_are_scaled_each_by_its_own_side() -> None:
    box = square_to_photo(Box(16, 0, 32, 64), side=SIDE, width=640, height=128)
    assert box == Box(160, 0, 320, 128)


def save(path: Path, pixels: np.ndarray, **how: Any) -> Path:
    Image.fromarray(pixels).save(path, **how)
    return path


def test_a_photo_taken_sideways_is_read_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate a quarter clockwise
    found = read_image(save(tmp_path / "a.png", pixels, exif=exif))
    assert found.shape == (6, 4, 3) and (found[:, -1] == 255).all() and not found[:, 0].any()


def test_grey_and_sixteen_bit_photos_are_read_by_their_brightness(tmp_path: Path) -> None:
    grey = np.array([[0, 128, 255]], dtype=np.uint8)
    found = read_image(save(tmp_path / "a.png", grey))
    deep = read_image(save(tmp_path / "b.png", grey.astype(np.uint16) * 257))
    assert (found == grey[..., None]).all() and (deep == found).all()


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    clear = np.zeros((2, 2, 4), dtype=np.uint8)
    path = save(tmp_path / "a.png", clear)
    with pytest.warns(Notice, match="transparent"):
        assert (read_image(path) == 255).all()


def test_values_that_are_no_colours_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tiff", np.ones((2, 2), dtype=np.float32))
    with pytest.raises(UserError, match="32-bit values"):
        read_image(path)


def test_an_image_that_pillow_takes_for_a_bomb_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.png", np.zeros((40, 40, 3), dtype=np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read_image(path).shape == (40, 40, 3)  # only large
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="make it smaller"):
        read_image(path)


def test_the_square_is_the_whole_photo_stretched() -> None:
    photo = np.zeros((30, 90, 3), dtype=np.uint8)
    photo[:, 45:] = 255
    square = working_image(photo, side=SIDE)
    assert square.shape == (SIDE, SIDE, 3)
    assert not square[:, : SIDE // 2 - 3].any() and (square[:, SIDE // 2 + 3 :] == 255).all()
