"""The small pictures beside a page: one of every source and edit, named by what is in its file.

Who measures a picture adds it from memory (`folder.py`); the page adds what is missing.
"""

from __future__ import annotations

from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from lr_edit.errors import UserError
from lr_edit.files import atomic_write
from lr_edit.workspace.storage import content_key

SIDE, QUALITY = 240, 85


class Gallery:
    """A folder of WebP files, each within a square of 240 pixels; small pictures are enlarged."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "gallery"
        if self.folder.is_symlink():
            raise UserError(f"{self.folder} is a link: nothing is written elsewhere; remove it")

    def path(self, digest: str) -> Path:
        """Where the picture whose file has this digest is, or will be."""
        return self.folder / f"{content_key('within a square', SIDE, digest)[:16]}.webp"

    def lacks(self, digest: str | None) -> bool:
        """Whether there is such a picture, and it is not here yet."""
        return digest is not None and not self.path(digest).exists()

    def add(self, digest: str, picture: UInt8[ndarray, "h w 3"]) -> None:
        """Keep a picture, unless it is here."""
        if not self.lacks(digest):
            return
        image = Image.fromarray(picture)
        image = image.reduce(max(1, max(image.size) // (2 * SIDE)))  # what is large, in a third
        small = ImageOps.contain(image, (SIDE, SIDE))
        with atomic_write(self.path(digest)) as part:
            small.save(part, format="WEBP", quality=QUALITY, method=0)
