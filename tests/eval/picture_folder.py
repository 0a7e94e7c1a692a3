"""A folder of odd-sized pictures, their edits and masks, and the command line over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lr_edit.cli.main import main
from lr_edit.workspace.storage import write_image


def run(*words: str | Path) -> int:
    """The exit code of `lr-edit WORDS`."""
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def picture(seed: int, *, height: int = 20, width: int = 31) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pictures(folder: Path, *, count: int = 3) -> Path:
    """A CSV dataset of odd-sized pictures, masks for all but the last, and edits of them."""
    lines = ["image,prompt,caption,mask,category"]
    for n in range(count):
        write_image(folder / f"in/{n}.png", picture(n))
        write_image(folder / f"edits/in/{n}.png", picture(100 + n))
        mask = np.zeros((20, 31), np.uint8)
        mask[3 : 5 + n, 4:9] = 255
        (folder / "m").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / f"m/{n}.png")
        given = f"m/{n}.png" if n < count - 1 else ""
        lines.append(f"in/{n}.png,a dog,a cat,{given},{'odd' if n % 2 else 'even'}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return folder
