"""`lr-edit edit` on photos: their shapes, their files, masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from lr_edit.photo_file import read_photo
from tests.cli.test_edit import edit, refused
from tests.test_photo_file import swapped_profile
from tests.tiny import run

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A landscape, a portrait by its EXIF entry, and a panorama in a wide gamut, as cameras write
    them."""
    folder = tmp_path_factory.mktemp("photos")
    landscape = skimage.data.coffee()
    upright, exif = skimage.data.chelsea(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(landscape).save(folder / "landscape.png")
    Image.fromarray(upright).save(folder / "portrait.jpg", exif=exif)
    Image.fromarray(landscape[200:330]).save(folder / "panorama.webp", lossless=True,
                                             icc_profile=swapped_profile())  # fmt: skip
    return [folder / name for name in ("landscape.png", "portrait.jpg", "panorama.webp")]


def outside_changed(before: Path, after: Path, box: list[int]) -> Any:
    """How many pixels changed in the box, and outside of it."""
    changed = (read_photo(before).pixels != read_photo(after).pixels).any(2)
    left, top, right, bottom = box
    inside = int(changed[top:bottom, left:right].sum())
    return inside, int(changed.sum()) - inside


def test_photos_of_three_shapes_are_edited_at_full_size(
    tiny_root: Path, photos: list[Path], capsys: Captured, tmp_path: Path
) -> None:
    words = [*edit(*photos), "--force", "--json", "--output", str(tmp_path)]
    assert run(tiny_root, *words, "--budget", "8") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sizes = [(600, 400), (300, 451), (600, 130)]
    for photo, row, size in zip(photos, rows, sizes, strict=True):
        written = Path(row["written"][0])
        with Image.open(written) as image:
            assert image.size == size and image.getexif().get(0x0112, 1) == 1
        assert read_photo(written).profile == read_photo(photo).profile
        inside, outside = outside_changed(photo, written, row["box"])
        assert inside and not outside


def test_a_mask_says_what_is_edited(
    tiny_root: Path, photos: list[Path], capsys: Captured, tmp_path: Path
) -> None:
    mask, output = np.zeros((400, 600), dtype=np.uint8), tmp_path / "edit.png"
    mask[100:200, 100:300] = mask[150:260, 250:320] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = ["--mask", str(tmp_path / "mask.png"), "--force", "--json", "--output", str(output)]
    assert run(tiny_root, *edit(photos[0]), *words) == 0
    assert json.loads(capsys.readouterr().out)["box"] == [100, 100, 320, 260]
    changed = (read_photo(photos[0]).pixels != read_photo(output).pixels).any(2)
    assert changed[mask > 0].mean() > 0.9 and not changed[mask == 0].any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mask", "{mask}"], "9x8 pixels and"),
        (["--mask", "none.png"], "none.png"),
        (["--mask", "{mask}", "--box", "0,0,8,8"], "give one of them"),
        (["--crop", "square"], "'square' is not one of"),
        (["--crop", "context", "--mode", "paper"], "leave out the crop"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    root: Path, capsys: Captured, tmp_path: Path, words: list[str], said: str
) -> None:
    mask = tmp_path / "mask.png"
    Image.new("L", (9, 8), 255).save(mask)
    image = root / "data/images/eval-000.png"
    assert said in refused(capsys, root, *edit(image), *(word.format(mask=mask) for word in words))
