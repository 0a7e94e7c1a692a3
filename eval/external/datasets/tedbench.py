"""TEdBench (Kawar et al. 2023): a JSON list of {img_name, target_text}; no masks.

A task is named after its image and its text; texts of any script have names.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from hashlib import sha256
from pathlib import Path

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import (
    find_listing,
    first_folder,
    image_names,
    read_rows,
    text_of,
)
from lr_edit.types import EditTask
from lr_edit.workspace.tasks import inside

LONGEST = 80  # letters of a text in a name


def read_tedbench(path: Path) -> Dataset:
    """A task per row."""
    path = find_listing(path, "input_list.json")
    images, rows = first_folder(path.parent, "originals"), []
    for number, row in enumerate(read_rows(path)):
        at = f"{path}: row {number}"
        image = inside(images, text_of(row, "img_name", at=at), said=at)
        rows.append((image, text_of(row, "target_text", at=at)))
    given = Counter((image, name_text(prompt)) for image, prompt in set(rows))
    samples = []
    for image, prompt in rows:
        words = name_text(prompt)
        if given[image, words] > 1 or not words:
            words = f"{words}-{sha256(prompt.encode(errors='replace')).hexdigest()[:8]}".strip("-")
        name = f"{image.stem}-{words}"
        task = EditTask(id=name, image=image, source="", prompt=prompt)
        samples.append(Sample(task, images / image, (name, *image_names(image, name))))
    return Dataset("tedbench", tuple(samples))


def name_text(text: str) -> str:
    """A text as a part of a file's name: its letters, marks and digits, dashes between."""
    letters = unicodedata.normalize("NFC", text.lower())
    kept = [c if unicodedata.category(c)[0] in "LMN" else " " for c in letters]
    return "-".join("".join(kept).split())[:LONGEST]
