"""Photos of every kind, read once: upright, RGB, 8 bits, in the colours of their own profile.

`workspace.pictures` reads what a study needs, pixels in sRGB. Whoever edits a photo wants it back
as it was: here the profile stays, models see sRGB, and what they make is turned into the photo's
own colours, so that no pixel outside of an edit is ever converted.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms

from lr_edit.errors import Notice, UserError, shorten
from lr_edit.workspace.pictures import open_picture

_AS_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # what PNG keeps as it is,
_AS_TIFF = ("CMYK", "F", "I", "LAB", "YCbCr")  # and TIFF


@dataclass(frozen=True)
class Picture:
    """Pixels, RGB in the photo's own colours; the file they came from, and the ICC profile that
    says what they mean, where there is one."""

    pixels: UInt8[np.ndarray, "height width 3"]
    path: Path | None = None
    profile: bytes | None = None

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @cached_property
    def srgb(self) -> UInt8[np.ndarray, "height width 3"]:
        """What models see."""
        return self._converted(self.pixels, back=False)

    def from_srgb(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """What models made, in the photo's own colours."""
        return self._converted(pixels, back=True)

    def as_image(self, pixels: UInt8[np.ndarray, "h w 3"]) -> Image.Image:
        """Pixels in the photo's own colours, with its profile."""
        image = Image.fromarray(pixels)
        if self.profile:
            image.info["icc_profile"] = self.profile
        return image

    def _converted(self, pixels: np.ndarray, *, back: bool) -> np.ndarray:
        own = _read_profile(self.profile)
        if own is None or _is_srgb(own):
            return pixels
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        first, last = (srgb, own) if back else (own, srgb)
        image = ImageCms.profileToProfile(Image.fromarray(pixels), first, last, outputMode="RGB")
        return np.asarray(image)


def read_photo(file: Path | bytes, *, name: str | None = None) -> Picture:
    """A picture's file, whatever its kind.

    16 bits become 8, palettes, grey, CMYK and other colours RGB, further frames are left out and
    transparency is laid on white, which is said. A profile of RGB stays.

    Args:
        file: The file, or its bytes.
        name: Whose bytes they are, for what is said of them.

    Raises:
        UserError: Missing, corrupt, too large, or of values that are no colours.
    """
    name = name or f"image {shorten(file) if isinstance(file, Path) else 'in memory'}"
    with open_picture(file, name=name) as picture:
        if picture.mode in ("I", "F"):
            raise UserError(f"{name} has 32-bit values: save it with 8 or 16 bits")
        profile = picture.info.get("icc_profile")
        if picture.mode.startswith("I;16"):
            picture = Image.fromarray((np.asarray(picture) // 256).astype(np.uint8))
        if picture.mode in ("CMYK", "L", "LAB", "YCbCr"):  # no alpha, a profile of their own kind
            picture = _as_srgb(picture, profile)
        rgba = picture.convert("RGBA")
    if np.asarray(rgba.getchannel("A")).min() < 255:
        warnings.warn(f"{name}: what is transparent is taken for white", Notice, 1)
        rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    own = _read_profile(profile)
    kept = profile if own is not None and own.profile.xcolor_space.strip() == "RGB" else None
    return Picture(np.array(rgba.convert("RGB")), file if isinstance(file, Path) else None, kept)


def read_pil(image: Image.Image) -> Picture:
    """A Pillow picture, as its file is read; one that was opened knows which that is."""
    file = getattr(image, "filename", "")
    try:
        if file:  # and so rows of a TIFF that Pillow turns break: `pictures._readable`
            vars(image)["filename"] = ""
        image.load()
    except Exception as error:  # closed, or cut: each of Pillow's readers fails in its own words
        raise UserError(f"the picture cannot be read ({shorten(error)}): open it anew") from None
    finally:
        if file:
            vars(image)["filename"] = file
    if 0 in image.size:
        raise UserError(f"the picture has no pixel: it is {image.width}x{image.height}")
    if image.mode not in (*_AS_PNG, *_AS_TIFF):
        try:
            image = image.convert("RGBA")
        except ValueError:  # grey whose opacity is multiplied in, and what is yet to come
            raise UserError(f"the picture's mode {image.mode} is not read: convert it") from None
    kind = {"format": "TIFF"} if image.mode in _AS_TIFF else {"format": "PNG", "compress_level": 0}
    kept, turn = io.BytesIO(), Image.Exif()
    profile = image.info.get("icc_profile")
    turn[0x0112] = image.getexif().get(0x0112, 1)  # alone: a TIFF's entries say how its file lies
    image.save(kept, **kind, exif=turn, icc_profile=profile)
    own = Path(file) if isinstance(file, str | Path) and Path(file).is_file() else None
    return replace(read_photo(kept.getvalue(), name="the picture"), path=own)


def _as_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, by the profile where there is one that can be read."""
    own = _read_profile(profile)
    if own is None and picture.mode == "LAB":
        own = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    if own is None:
        return picture.convert("RGB")
    try:
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, own, srgb, outputMode="RGB") or picture
    except (ImageCms.PyCMSError, ValueError):  # of another kind of colours than the picture
        return picture.convert("RGB")


def _read_profile(profile: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """None where there is none, or none that can be read."""
    if not profile:
        return None
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "srgb" in ImageCms.getProfileDescription(profile).lower()
