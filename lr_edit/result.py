"""What an edit gives back: pictures at the input's full size, boxes in its pixels, what it cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from PIL import Image, ImageDraw

from lr_edit.errors import UserError, check_flag, shorten
from lr_edit.request import Mode
from lr_edit.types import Box
from lr_edit.workspace.storage import atomic_write

FORMATS: dict[str, dict[str, Any]] = {  # suffix -> how Pillow writes it
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "lossless": True},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


@dataclass(frozen=True)
class Candidate:
    """One edit that was inpainted at full quality.

    box    where, half-open, in pixels of the input
    score  S = 2 S_t2i + S_i2i, higher is better (paper, section 3.4)
    loss   L = L_clip + L_dir + L_str, lower is better (paper, Eq. 6)
    """

    box: Box
    score: float
    loss: float
    _compose: Callable[[], Image.Image] = field(repr=False, compare=False)

    @cached_property
    def image(self) -> Image.Image:
        """The whole picture with this edit, at the input's size."""
        return self._compose()


@dataclass(frozen=True)
class EditResult:
    """One edited picture.

    candidates  what was inpainted at full quality, the best first; the first is the edit
    nfe         UNet evaluations (NFE), previews too
    mode        the one asked for; "enumerate" where the boxes or the mask were the user's own
    path        the input's file, where it was one; `save` never writes there
    """

    candidates: tuple[Candidate, ...]
    nfe: int
    source: str
    prompt: str
    mode: Mode
    seed: int
    path: Path | None = None

    @property
    def image(self) -> Image.Image:
        """The edited picture, at the input's size, upright, in its colours and with its profile;
        outside `box`, and outside a mask, it is the input, bit by bit."""
        return self.candidates[0].image

    @property
    def box(self) -> Box:
        """Where it was edited, half-open, in pixels of the input."""
        return self.candidates[0].box

    @property
    def score(self) -> float:
        """S of the edit, higher is better."""
        return self.candidates[0].score

    @property
    def loss(self) -> float:
        """L of the edit, lower is better."""
        return self.candidates[0].loss

    def draw_boxes(self) -> Image.Image:
        """The edited picture with the boxes of all candidates, the edit's own in red."""
        drawn = self.image.copy()
        pen, width = ImageDraw.Draw(drawn), max(1, round(max(drawn.size) / 256))
        for place, one in reversed(list(enumerate(self.candidates))):
            left, top, right, bottom = one.box.as_tuple()
            colour, line = ("#e4003a", 2 * width) if place == 0 else ("#ffffff", width)
            pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=line)
        return drawn

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the edited picture.

        Args:
            path: Its suffix says how: .png and .webp keep every bit, .jpg does not.
            overwrite: Whether a file that is there may be replaced; the input never is.

        Returns:
            The path.

        Raises:
            UserError: For another suffix, for a file that is there, for the input, and for a place
                that cannot be written.
        """
        if not isinstance(path, str | Path):
            raise UserError(f"{shorten(path)} is no path: give the name of a file")
        check_flag("overwrite", overwrite)
        return save_picture(self.image, Path(path), source=self.path, overwrite=overwrite)


def save_picture(
    picture: Image.Image, path: Path, *, source: Path | None = None, overwrite: bool = False
) -> Path:
    """Write a picture as `EditResult.save` does; `source` is the file never to be written."""
    check_output(path, source=source, overwrite=overwrite)
    with atomic_write(path.parent.resolve() / path.name) as part:
        profile = picture.info.get("icc_profile")
        picture.save(part, **FORMATS[path.suffix.lower()], icc_profile=profile)
    return path


def check_output(path: Path, *, source: Path | None = None, overwrite: bool = False) -> None:
    """UserError where an edit cannot be written, told before any work is done."""
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise UserError(f"{path} cannot be written: a picture's name ends in one of {known}")
    place = path.parent.resolve() / path.name  # NEW/../PATH is nowhere until NEW is made
    try:
        there = place.exists() or place.is_symlink()  # a link to nowhere is somebody's too
    except OSError as error:  # a name that no disk takes
        raise UserError(
            f"{shorten(path)} cannot be written ({error.strerror}): name another"
        ) from None
    if source is not None and place.exists() and source.exists() and place.samefile(source):
        raise UserError(f"{path} is the picture that is edited: write the edit somewhere else")
    if place.is_dir():
        raise UserError(f"{path} is a folder: name a file")
    if there and not overwrite:
        raise UserError(f"{path} is there already: name another file, or say to overwrite it")
    _check_writable(place.parent)


def _check_writable(folder: Path) -> None:
    """UserError unless files can be made in the folder, or the folder below one that takes it."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UserError(f"{folder} cannot be a folder: {there} is a file")
    try:
        with TemporaryFile(dir=there):
            return
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): name another") from None
