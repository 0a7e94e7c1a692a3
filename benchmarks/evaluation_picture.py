"""reports/evaluation.png: the page of `lr-edit evaluate` as a browser shows it, for the README.

    python -m benchmarks.evaluation_picture

Editors of the drawn world, one right and others wrong in one way each. Needs chromium.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from lr_edit.errors import UserError
from lr_edit.picturebook.exam import draw_exam
from lr_edit.workspace.pictures import write_image

PICTURE = Path("reports/evaluation.png")
SIZE = (850, 1090)  # pixels of the window: as wide as a README is shown
EDITORS = {"right": "perfect", "nothing": "does-nothing", "other": "wrong-thing",
           "damaged": "also-elsewhere"}  # fmt: skip
CATEGORIES = ("replace", "recolour", "remove", "add")


def write_edits(folder: Path, *, count: int) -> list[str]:
    """A CSV data set of drawn tasks, and a folder of edits for every editor; their names."""
    lines = []
    for category in CATEGORIES:
        for at in range(count):
            exam = draw_exam(category, at)
            name = f"{category}-{at}.png"
            mask = np.zeros(exam.source.shape[:2], np.uint8)
            mask[exam.box.top : exam.box.bottom, exam.box.left : exam.box.right] = 255
            write_image(folder / "images" / name, exam.source)
            (folder / "masks").mkdir(exist_ok=True)
            Image.fromarray(mask).save(folder / "masks" / name)
            for kind, edit in {"right": exam.right, **exam.wrong}.items():
                editor = EDITORS[kind]
                write_image(folder / editor / name, edit)
            task = exam.task
            lines.append((f"images/{name}", task.prompt, f"masks/{name}", category))
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "prompt", "mask", "category"), *lines])
    return list(EDITORS.values())


def take_picture(page: Path, picture: Path, *, size: tuple[int, int] = SIZE) -> None:
    """A screenshot. UserError without chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise UserError("a screenshot is taken by chromium, which is not installed")
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--window-size={size[0]},{size[1]}", f"--screenshot={picture.resolve()}", page.as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip


def main() -> None:
    """Draw, evaluate, look."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        editors = write_edits(home, count=6)
        words = ["--dataset", f"csv:{home}", "--out", f"{home}/out", "--metrics", "change,mse,ssim"]
        for editor in editors:
            words += ["--edits", f"{home / editor}"]
        own = ["-c", "from lr_edit.cli.main import main; main()", "evaluate", *words]
        subprocess.run([sys.executable, *own], check=True, stdout=subprocess.DEVNULL)
        take_picture(home / "out/index.html", PICTURE)


if __name__ == "__main__":
    main()
