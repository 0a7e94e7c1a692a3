"""PIE-Bench (Ju et al. 2024): its folder, or the parquet files of PIE-Bench++.

`mapping_file.json` beside annotation_images/; masks are runs on 512x512, brackets in prompts are
taken out. PIE-Bench++ (UB-CVML-Group/PIE_Bench_pp) has the same in ten configurations of parquet
files, whose masks are the same numbers as words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from eval.external.datasets.contract import Dataset, Embedded, Picture, Sample
from eval.external.datasets.listing import (
    find_listing,
    first_folder,
    image_names,
    read_mapping,
    text_of,
    words_of,
)
from eval.external.datasets.parquet import find_tables, read_tables
from eval.metrics.pie_bench import strip_brackets
from lr_edit.errors import UserError
from lr_edit.types import EditTask
from lr_edit.workspace.tasks import inside

TYPES = (
    "random", "change object", "add object", "delete object", "change content", "change pose",
    "change colour", "change material", "change background", "change style",
)  # fmt: skip
_COLUMNS = ("id", "source_prompt", "target_prompt", "edit_action", "blended_words", "mask")


def read_pie_bench(path: Path) -> Dataset:
    """Either form. UserError for what cannot be read."""
    tables = find_tables(path)
    if tables and not (path / "mapping_file.json").is_file():
        return _read_parquet(tables)
    return _read_folder(find_listing(path, "mapping_file.json"))


def _read_folder(path: Path) -> Dataset:
    images = first_folder(path.parent, "annotation_images")
    samples = []
    for name, row in read_mapping(path).items():
        at = f"{path}: {name!r}"
        image = inside(images, text_of(row, "image_path", at=at), said=at)
        if "/" in name or "\\" in name:
            raise UserError(f"{at}: the id is a path: give it a name")
        samples.append(
            _sample(
                name, image, images / image, at=at, mask=row.get("mask"),
                caption=text_of(row, "original_prompt", at=at),
                prompt=text_of(row, "editing_prompt", at=at),
                instruction=words_of(row, "editing_instruction"),
                blended=words_of(row, "blended_word"),
                kind=str(row.get("editing_type_id", "")),
            )
        )  # fmt: skip
    return Dataset("pie-bench", tuple(samples))


def _read_parquet(tables: list[Path]) -> Dataset:
    samples = []
    for cell in read_tables(tables, _COLUMNS, optional=("edit_action", "blended_words")):
        row, at = cell.values, cell.at
        name = text_of(row, "id", at=at)
        folder = next((p for p in reversed(cell.file.parts) if re.match(r"\d_.+_\d+$", p)), "")
        image = Path(folder, f"{name}.jpg")
        samples.append(
            _sample(
                name, image, cell.picture("image"), at=at, mask=row.get("mask"),
                caption=text_of(row, "source_prompt", at=at),
                prompt=text_of(row, "target_prompt", at=at),
                instruction="", blended=words_of(row, "blended_words"), kind=folder[:1],
            )
        )  # fmt: skip
    return Dataset("pie-bench", tuple(samples))


def _sample(
    name: str, image: Path, place: Picture, *, at: str, mask: Any, caption: str, prompt: str,
    instruction: str, blended: str, kind: str,
) -> Sample:  # fmt: skip
    caption = strip_brackets(caption)
    words = re.split(r"[\s,;]+", blended.strip(" ,;")) if blended else []
    task = EditTask(
        id=name,
        image=image,
        source=words[0] if words else caption,
        prompt=strip_brackets(prompt),
        category=TYPES[int(kind)] if kind in tuple("0123456789") else kind or "edit",
        caption=caption,
    )
    runs = None if mask is None else _runs(mask, at)
    # PnPInversion saves METHOD/annotation_images/..., with its data set's own folders below.
    names = (*image_names(image, name), f"annotation_images/{image.with_suffix('').as_posix()}")
    names = names[1:] if isinstance(place, Embedded) else names
    return Sample(task, place, names, runs, instruction=instruction)


def _runs(value: Any, at: str) -> tuple[int, ...]:
    """Start and length in turn: numbers, or the same as words."""
    if isinstance(value, str):
        value = [int(word) if re.fullmatch(r"\d{1,18}", word) else None for word in value.split()]
    if not (isinstance(value, list) and all(type(number) is int for number in value)):
        raise UserError(f"{at}: a mask is a list of whole numbers, start and length in turn")
    return tuple(value)
