"""What is handed to the editor is checked before a model is there; pictures are read alike."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lr_edit.errors import Notice, UserError
from lr_edit.request import as_box, read_picture
from lr_edit.types import Box
from lr_edit.workspace.storage import read_image

PHOTO = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)


def test_a_picture_in_memory_is_read_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    picture = Image.fromarray(PHOTO)
    picture.save(tmp_path / "a.png", exif=exif)
    turned = read_image(tmp_path / "a.png")
    assert turned.shape == (4, 6, 3)
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(read_picture(opened).pixels, turned)
    for mode in ("L", "P", "CMYK", "RGBA"):
        assert read_picture(picture.convert(mode)).pixels.shape == (6, 4, 3)
    assert read_picture(str(tmp_path / "a.png")).path == tmp_path / "a.png"


def test_what_is_transparent_is_said() -> None:
    with pytest.warns(Notice, match="transparent is taken for white"):
        found = read_picture(np.zeros((4, 4, 4), dtype=np.uint8))
    assert (found.pixels == 255).all()


@pytest.mark.parametrize(
    "box",
    [(1, 2, 3), (5, 0, 2, 8), (0, 0, 1.5, 8), ("a", 0, 1, 2), (-1, 0, 4, 4), (0, 0, math.inf, 4)],
)
def test_a_box_that_is_none_is_one_sentence(box: tuple) -> None:
    with pytest.raises(UserError, match="left < right"):
        as_box(box)
    assert as_box([1, 2.0, 3, 4]) == Box(1, 2, 3, 4)


def test_a_picture_that_is_not_there_is_said_with_what_brings_it() -> None:
    with pytest.raises(UserError, match=r"data/no.png is missing: .*`make pull` brings"):
        read_picture("data/no.png")
    with pytest.raises(UserError, match=r"no.png is missing: name a picture that is there$"):
        read_picture("no.png")
