"""The one reader of pictures, for images and masks alike, and the one writer.

A picture is read as a person sees it: upright by its EXIF orientation, in the colours of its
profile, its first frame. What is left out (transparency, further frames) is said once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from lr_edit.errors import Notice, UserError, shorten
from lr_edit.files import atomic_write, check_file

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_ON_ITS_SIDE = (5, 6, 7, 8)
_MOVING = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")  # not MPO: a phone's photo and its preview


def read_image(file: Path | bytes, *, name: str | None = None) -> np.ndarray:
    """RGB uint8 (H, W, 3), upright, in sRGB; transparency is laid on white, 16 bits become 8.

    UserError if missing, corrupt, too large, or of values that are no colours; `name` says whose
    bytes they are.
    """
    name = name or f"image {shorten(file) if isinstance(file, Path) else 'in memory'}"
    with open_picture(file, name=name) as picture:
        _check_mode(picture, name)
        profile = picture.info.get("icc_profile")
        if picture.mode.startswith("I;16"):
            picture = Image.fromarray((np.asarray(picture) // 256).astype(np.uint8))
        if picture.mode in ("CMYK", "L"):  # whose profiles are of four channels, or of one
            picture, profile = _as_srgb(picture, profile), None
        see_through = picture.has_transparency_data
        picture = picture.convert("RGBA" if see_through else "RGB")
    if see_through and np.asarray(picture.getchannel("A")).min() < 255:
        warnings.warn(f"{name}: what is transparent is taken for white", Notice, 1)
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(_as_srgb(picture.convert("RGB"), profile))


@contextmanager
def open_picture(file: Path | bytes, *, name: str) -> Iterator[Image.Image]:
    """Any picture as Pillow has it, decoded and upright: the one place where pictures are opened.

    UserError, which begins with `name`, if it is missing, corrupt or too large.
    """
    with _readable(file, name) as one:
        kind, frames = one.format, getattr(one, "n_frames", 1)
        picture = _upright(one)
        yield picture
    if frames > 1 and kind in _MOVING:
        warnings.warn(f"{name} has {frames} frames: the first is taken", Notice, 1)


def picture_size(file: Path | bytes, *, name: str) -> tuple[int, int]:
    """(height, width) upright, from the file's head alone. UserError as `open_picture`."""
    with _readable(file, name) as one:
        _check_mode(one, name)
        tags = getattr(one, "tag_v2", None)  # of a TIFF, whose `size` some Pillows have turned
        width, height = (tags[256], tags[257]) if tags else one.size
        return (width, height) if _turn(one) in _ON_ITS_SIDE else (height, width)


def _check_mode(picture: Image.Image, name: str) -> None:
    if picture.mode in ("I", "F"):
        raise UserError(f"{name} has 32-bit values: save it with 8 or 16 bits")


@contextmanager
def _readable(file: Path | bytes, name: str) -> Iterator[Image.Image]:
    """The opened file; whatever goes wrong while it is is a UserError."""
    if isinstance(file, Path):
        check_file(file, name, cure="replace it")
    try:
        with warnings.catch_warnings():  # Pillow's own words on large and on odd files
            warnings.simplefilter("ignore")
            # By a name, Pillow maps a TIFF into memory, and breaks the rows of one that it turns.
            stream = BytesIO(file) if isinstance(file, bytes) else file.open("rb")
            with stream, Image.open(stream) as one:
                yield one
    except UserError:
        raise
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(f"{name} has over {most} million pixels: make it smaller") from None
    except MemoryError:
        raise UserError(f"{name} does not fit into memory: make it smaller") from None
    except Exception as error:  # each of Pillow's readers fails in words of its own
        said = "no picture" if isinstance(error, UnidentifiedImageError) else shorten(error)
        raise UserError(f"{name} cannot be read ({said}): replace it") from None


def _upright(file: Image.Image) -> Image.Image:
    """Decoded, and turned as its EXIF orientation says; a broken entry beside it turns nothing."""
    file.load()  # which turns a TIFF itself, and takes the entry away
    turn = _TURNS.get(_turn(file))
    return file.copy() if turn is None else file.transpose(turn)


def _turn(file: Image.Image) -> int:
    return file.getexif().get(0x0112, 1)


def _as_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in the colours that the profile means; sRGB itself, or one that cannot be read, moves
    nothing."""
    if not profile:
        return picture
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return picture
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, own, srgb, outputMode="RGB") or picture
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture


def write_image(path: Path, image: np.ndarray) -> None:
    """uint8 (H, W, 3) to PNG. UserError or Unfinished where it cannot be written."""
    with atomic_write(path) as part:
        Image.fromarray(image).save(part, format="PNG")
