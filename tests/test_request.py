"""What is handed to the editor is checked before a model is there; pictures are read alike."""

from __future__ import annotations

import math
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lr_edit.errors import Notice, UserError
from lr_edit.request import Request, as_box, read_mask, read_picture
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


SPARSE = torch.zeros(3, 4, 4).to_sparse()
META = torch.zeros(3, 4, 4, device="meta")
CLOSED = Image.fromarray(PHOTO)
CLOSED.close()


@pytest.mark.parametrize("image", [BytesIO(b"a"), StringIO("a"), SPARSE, META, CLOSED, 5, b"a.png"])
def test_what_is_no_picture_is_one_sentence_and_stays_as_it_was(image: Any) -> None:
    with pytest.raises(UserError):
        read_picture(image)
    if isinstance(image, BytesIO | StringIO):
        assert image.read() in ("a", b"a")  # nobody took it from its owner


VALUES = {  # of another kind -> what is said; tried as users have it, without type checks
    "Request(*W, budget=9.5)": "budget 9.5: give a whole number",
    "Request(*W, budget=math.nan)": "budget nan",
    "Request(*W, budget=True)": "budget True",
    "Request(*W, budget='10')": "budget '10'",
    "Request(*W, budget=10**12)": "1000000 at most",
    "Request(*W, seed=1.5)": "seed 1.5",
    "Request(*W, seed='0')": "seed '0'",
    "Request(*W, seed=None)": "seed None",
    "Request(*W, seed=[1, 2])": "seed [1, 2]",
    "Request(None, 'a')": "nor anything but text",
    "Request('a', 'b \\ud800')": "half a letter",
    "Request('a', 'b \\0')": "holds a zero",
    "as_boxes(5)": "boxes 5: give a list",
    "as_boxes('1,2,3,4')": "give a list of boxes",
    "as_boxes([5])": "box 5",
    "as_boxes((10, 10, 30, 30))": "box 10: give a list of boxes",
    "Progress(5, at=0, many=1, nfe=0)": "callback 5",
    "EditResult((), 0, 'a', 'b', 'race', 0).save(b'x.png')": "is no path",
}


def test_a_value_of_another_kind_is_one_sentence() -> None:
    code = (
        "import math, sys\nfrom lr_edit.progress import Progress\n"
        "from lr_edit.request import Request, as_boxes\n"
        "from lr_edit.result import EditResult, check_output\n"
        "from lr_edit.errors import UserError\nW = ('a', 'b')\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    try:\n        eval(line)\n        print('nothing')\n"
        "    except UserError as error:\n        print(error)\n"
    )
    lines = list(VALUES)
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(lines), capture_output=True, text=True
    )
    assert not done.stderr
    assert Request("a", "b", seed=2**32 - 1, budget=9).seed == 2**32 - 1
    for line, found in zip(lines, done.stdout.splitlines(), strict=True):
        assert VALUES[line] in found, (line, found)


def test_a_mask_is_black_and_white_but_for_soft_edges() -> None:
    picture = read_picture(PHOTO)
    mask = np.zeros((6, 4), np.uint8)
    mask[2:4], mask[4, 0] = 255, 128
    assert read_mask(mask, picture).sum() == 9
    for wrong, said in (
        (PHOTO, "coloured"),
        (np.full((6, 4), 0.5), "mostly grey"),
        (np.tile(np.linspace(0, 255, 24, dtype=np.uint8).reshape(6, 4, 1), 3), "mostly grey"),
    ):
        with pytest.raises(UserError, match=said):
            read_mask(wrong, picture)
