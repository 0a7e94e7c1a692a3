"""Pictures: read as a person sees them, through one door, or refused in one sentence."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lr_edit.errors import Notice, UserError
from lr_edit.workspace.pictures import open_picture, picture_size, read_image, write_image

CORNER = np.zeros((4, 6, 3), np.uint8)
CORNER[0, 0] = 255  # one white pixel, top left: every turn moves it elsewhere


@pytest.mark.parametrize("kind", ["png", "tif"])  # Pillow turns a TIFF as it loads
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path, turn: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"a.{kind}"
    Image.fromarray(CORNER).save(path, exif=exif)
    upright = CORNER if turn in (1, 2, 3, 4) else CORNER.transpose(1, 0, 2)
    flips = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}
    np.testing.assert_array_equal(read_image(path), np.flip(upright, flips[turn]))
    assert picture_size(path, name="it") == upright.shape[:2]


def test_other_exif_entries_turn_nothing(tmp_path: Path) -> None:
    entry = struct.pack(">HHI4s", 0x011A, 2, 4, b"abc\0")  # XResolution, as text
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    Image.fromarray(CORNER).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), CORNER)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = (np.arange(6, dtype=np.uint16) * 10_000)[None]
    Image.fromarray(deep).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], deep[0] // 256)


def test_a_transparent_colour_is_white_and_said(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (9, 9, 9)).save(tmp_path / "a.png", transparency=(9, 9, 9))
    with pytest.warns(Notice, match="transparent"):
        assert (read_image(tmp_path / "a.png") == 255).all()


def test_an_opaque_picture_says_nothing(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (9, 9, 9, 255)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 9).all()  # warnings are errors here


def test_an_animation_gives_its_first_frame_and_says_so(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue])
    with pytest.warns(Notice, match=r"a\.gif has 2 frames: the first is taken"):
        assert (read_image(tmp_path / "a.gif") == (255, 0, 0)).all()


def test_a_profile_s_colours_become_srgb(tmp_path: Path) -> None:
    picture = Image.new("RGB", (2, 2), (200, 30, 90))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "plain.png", icc_profile=srgb)
    assert (read_image(tmp_path / "plain.png") == (200, 30, 90)).all()
    picture.save(tmp_path / "wide.png", icc_profile=_swapped(srgb))
    assert (read_image(tmp_path / "wide.png") != (200, 30, 90)).any()
    picture.save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert (read_image(tmp_path / "broken.png") == (200, 30, 90)).all()


def _swapped(profile: bytes) -> bytes:
    """A profile whose red and blue primaries are exchanged, under another name."""
    return (
        profile.replace(b"rXYZ", b"\0XYZ").replace(b"bXYZ", b"rXYZ").replace(b"\0XYZ", b"bXYZ")
        .replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))
    )  # fmt: skip


def broken(kind: str) -> bytes:
    """The head of a picture of a kind, and then nothing or nonsense."""
    whole = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
        whole, format=kind
    )
    data = whole.getvalue()
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "PPM", "AVIF"]
)
def test_half_a_picture_of_any_kind_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "half.png"
    path.write_bytes(broken(kind))
    with pytest.raises(UserError, match=r"^image .*half\.png cannot be read \(.*\): replace it$"):
        read_image(path)


@pytest.mark.parametrize(
    "content", [b"P6 2 2 99999 xx", b"P6\n-2 2 255\n", b"P5 " + b"9" * 30 + b" 1 255 "]
)
def test_a_nonsensical_ppm_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ppm").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.ppm"):
        read_image(tmp_path / "a.ppm")


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "huge.ppm").write_bytes(b"P6\n100000 100000\n255\n")
    for read in (read_image, lambda path: picture_size(path, name="it")):
        with pytest.raises(UserError, match="has over 178 million pixels: make it smaller"):
            read(tmp_path / "huge.ppm")


def test_a_folder_or_a_device_is_no_picture(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(UserError, match="is no file: replace it"):
            read_image(path)


def test_a_mask_goes_through_the_same_door(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"")
    with (
        pytest.raises(UserError, match=r"mask of x cannot be read"),
        open_picture(tmp_path / "m.png", name="mask of x"),
    ):
        pass


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder.png/inside").mkdir(parents=True)
    with pytest.raises(UserError, match=r"folder\.png cannot be written \(is a directory\)"):
        write_image(tmp_path / "folder.png", CORNER)
