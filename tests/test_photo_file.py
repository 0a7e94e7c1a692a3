"""Photos of every kind: the right RGB or one sentence, and their own colours where nobody edits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from lr_edit.errors import Notice, UserError
from lr_edit.frame import frame_photo, lay_over
from lr_edit.photo_file import read_photo, read_pil
from lr_edit.result import save_picture
from lr_edit.types import Box
from lr_edit.workspace.storage import read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with its red and blue primaries exchanged, and another name."""
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(raw[128:132], "big")
    tags = {bytes(raw[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    raw[red + 4 : red + 12], raw[blue + 4 : blue + 12] = (
        raw[blue + 4 : blue + 12], raw[red + 4 : red + 12],
    )  # fmt: skip
    name = "sRGB".encode("utf-16-be")
    return bytes(raw).replace(name, "wRGB".encode("utf-16-be")).replace(b"sRGB", b"wRGB")


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


KINDS: dict[str, tuple[str, Callable[[Image.Image], Image.Image], dict[str, Any]]] = {
    "rgb": ("a.png", lambda image: image, {}),
    "jpeg": ("a.jpg", lambda image: image, {"quality": 90}),
    "jpeg on its side": ("a.jpg", lambda image: image, {"exif": exif(6)}),
    "png on its side": ("a.png", lambda image: image, {"exif": exif(8)}),
    "cmyk jpeg": ("a.jpg", lambda image: image.convert("CMYK"), {}),
    "cmyk tiff": ("a.tif", lambda image: image.convert("CMYK"), {}),
    "grey": ("a.png", lambda image: image.convert("L"), {}),
    "grey with alpha": ("a.png", lambda image: image.convert("LA"), {}),
    "palette": ("a.png", lambda image: image.convert("P"), {}),
    "palette gif": ("a.gif", lambda image: image.convert("P"), {}),
    "two colours": ("a.png", lambda image: image.convert("1"), {}),
    "opaque": ("a.png", lambda image: image.convert("RGBA"), {}),
    "see-through": ("a.png", lambda image: _with_alpha(image), {}),
    "16 bits": ("a.png", lambda image: _deep(image), {}),
    "16 bits, tiff": ("a.tif", lambda image: _deep(image), {}),
    "own colours": ("a.png", lambda image: image, {"icc_profile": swapped_profile()}),
    "own colours, jpeg": ("a.jpg", lambda image: image, {"icc_profile": swapped_profile()}),
    "own colours, see-through": (
        "a.webp", lambda image: _with_alpha(image),
        {"icc_profile": swapped_profile(), "lossless": True},
    ),
    "a profile of another kind": ("a.png", lambda image: image, {"icc_profile": lab_profile()}),
    "a broken profile": ("a.png", lambda image: image, {"icc_profile": b"none"}),
    "lab": ("a.tif", lambda image: _lab(image), {}),
    "ycbcr": ("a.tif", lambda image: image.convert("YCbCr"), {}),
    "moving": (
        "a.gif", lambda image: image.convert("P"),
        {"save_all": True, "append_images": [Image.new("P", (20, 12))]},
    ),
}  # fmt: skip


def _with_alpha(image: Image.Image) -> Image.Image:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _lab(image: Image.Image) -> Image.Image:
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    return ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB") or image


@pytest.mark.filterwarnings("ignore::lr_edit.errors.Notice")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4)
@given(left=st.integers(0, 9), top=st.integers(0, 9), size=st.integers(1, 11), seed=st.integers(0))
def test_of_every_kind_of_file_all_but_the_box_is_saved_as_it_was_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, left: int, top: int, size: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("photo")
    name, make, how = KINDS[kind]
    pixels = np.random.default_rng(seed % 99).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    make(Image.fromarray(pixels)).save(folder / name, **how)
    photo = read_photo(folder / name)
    assert (photo.width, photo.height) == ((12, 20) if "side" in kind else (20, 12))
    with Image.open(folder / name) as opened:  # in memory it is the same
        again = read_pil(opened)
    assert np.array_equal(again.pixels, photo.pixels) and again.profile == photo.profile
    box = Box(left, top, min(left + size, photo.width), min(top + size, photo.height))
    patch = photo.from_srgb(np.full((64, 64, 3), 128, dtype=np.uint8))
    edited = lay_over(photo.pixels, patch, frame=frame_photo(photo.width, photo.height),
                      box=box, feather=1.0)  # fmt: skip
    written = read_photo(save_picture(photo.as_image(edited), folder / "edit.png"))
    outside = np.ones((photo.height, photo.width), dtype=bool)
    outside[box.top : box.bottom, box.left : box.right] = False
    assert np.array_equal(written.pixels[outside], photo.pixels[outside])
    assert written.profile == photo.profile and written.pixels.shape == photo.pixels.shape
    assert np.array_equal(written.srgb[outside], photo.srgb[outside])
    with Image.open(folder / "edit.png") as saved:
        assert saved.getexif().get(0x0112, 1) == 1  # upright, and not to be turned again


@pytest.mark.parametrize("kind", ["RGB .png", "RGB .jpg", "RGB .webp", "RGB .tif", "L .tif",
                                  "CMYK .jpg", "CMYK .tif"])  # fmt: skip
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_is_turned_once_from_its_path_and_in_memory(
    tmp_path: Path, turn: int, kind: str
) -> None:
    mode, suffix = kind.split()
    greys = np.arange(0, 240, 40, dtype=np.uint8).reshape(2, 3)  # squares that a JPEG keeps
    scene = Image.fromarray(greys).convert("RGB").resize((48, 32), Image.Resampling.NEAREST)
    scene.save(tmp_path / "plain.png", exif=exif(turn))
    with Image.open(tmp_path / "plain.png") as plain:
        upright = np.asarray(ImageOps.exif_transpose(plain))
    how: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    scene.convert(mode).save(tmp_path / f"a{suffix}", exif=exif(turn), **how)
    with Image.open(tmp_path / f"a{suffix}") as opened:
        found = [read_photo(tmp_path / f"a{suffix}").pixels, read_pil(opened).pixels]
    for pixels in (*found, read_image(tmp_path / f"a{suffix}")):
        np.testing.assert_allclose(pixels.astype(int), upright, atol=3)


@pytest.mark.filterwarnings("ignore::lr_edit.errors.Notice")
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"lab"}))
def test_models_see_what_a_study_reads(tmp_path: Path, kind: str) -> None:
    name, make, how = KINDS[kind]
    make(Image.fromarray(PIXELS)).save(tmp_path / name, **how)
    assert np.array_equal(read_photo(tmp_path / name).srgb, read_image(tmp_path / name))


def test_a_profile_says_what_the_colours_are_and_stays(tmp_path: Path) -> None:
    red = np.full((4, 4, 3), (200, 30, 30), dtype=np.uint8)
    Image.fromarray(red).save(tmp_path / "a.png", icc_profile=swapped_profile())
    photo = read_photo(tmp_path / "a.png")
    assert (photo.pixels == red).all()
    assert photo.srgb[0, 0].tolist() == pytest.approx([30, 30, 200], abs=3)  # blue, to models
    back = photo.from_srgb(photo.srgb)
    assert np.abs(back.astype(int) - red).max() <= 2
    for suffix in (".png", ".webp", ".jpg"):
        with Image.open(save_picture(photo.as_image(red), tmp_path / f"b{suffix}")) as written:
            assert written.info["icc_profile"] == swapped_profile()


def test_lab_is_turned_into_the_colours_that_it_means(tmp_path: Path) -> None:
    _lab(Image.new("RGB", (4, 4), (200, 60, 30))).save(tmp_path / "a.tif")
    found = read_photo(tmp_path / "a.tif").pixels[0, 0]
    assert found.tolist() == pytest.approx([200, 60, 30], abs=4)


@pytest.mark.parametrize("values", [np.float32, np.int32])
def test_values_that_are_no_colours_are_refused_from_a_file_and_in_memory(
    tmp_path: Path, values: type
) -> None:
    picture = Image.fromarray(np.ones((4, 4), dtype=values))
    picture.save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif has 32-bit values: save it with 8 or 16 bits"):
        read_photo(tmp_path / "a.tif")
    with pytest.raises(UserError, match="the picture has 32-bit values"):
        read_pil(picture)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    _with_alpha(Image.fromarray(PIXELS)).save(tmp_path / "a.png")
    with pytest.warns(Notice, match="transparent is taken for white"):
        read_photo(tmp_path / "a.png")
    name, make, how = KINDS["moving"]
    make(Image.fromarray(PIXELS)).save(tmp_path / name, **how)
    with pytest.warns(Notice, match="2 frames: the first is taken"):
        read_photo(tmp_path / name)


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="make it smaller"):
        read_photo(tmp_path / "a.png")
