"""amortise: banks of a study -> AnchorNet across its images, for images never seen."""

from __future__ import annotations

from pathlib import Path

from lr_edit.amortise import amortise
from lr_edit.config import Config
from lr_edit.types import Track


def run(root: Path, config: Config, *, track: Track) -> None:
    """Fill artifacts/anchor-net."""
    amortise(root, config, track=track)
