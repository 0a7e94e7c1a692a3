"""GEdit-Bench (Liu et al. 2025; stepfun-ai/GEdit-Bench): parquet files, two languages, 11 tasks.

Edits lie at METHOD/fullset/TASK/LANGUAGE/KEY.png. Nobody says what the result should show: a
vision-language judge reads the instruction. `intersection` is the part that every published editor
answered.
"""

from __future__ import annotations

from pathlib import Path

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import text_of
from eval.external.datasets.parquet import need_tables, read_tables
from lr_edit.types import EditTask

_COLUMNS = ("key", "task_type", "instruction", "instruction_language", "Intersection_exist")


def read_gedit(path: Path) -> Dataset:
    """The rows in English."""
    return _read(path, "en", kind="gedit")


def read_gedit_cn(path: Path) -> Dataset:
    """The rows in Chinese."""
    return _read(path, "cn", kind="gedit-cn")


def _read(path: Path, language: str, *, kind: str) -> Dataset:
    samples = []
    for cell in read_tables(need_tables(path), _COLUMNS, optional=("Intersection_exist",)):
        row, at = cell.values, cell.at
        if text_of(row, "instruction_language", at=at) != language:
            continue
        key, category = text_of(row, "key", at=at), text_of(row, "task_type", at=at)
        name = f"{category}/{language}/{key}"
        task = EditTask(
            id=key, image=Path(category, language, f"{key}.png"), source="", prompt="",
            category=category,
        )  # fmt: skip
        samples.append(
            Sample(
                task,
                cell.picture("input_image_raw"),
                (f"fullset/{name}", name, key),
                instruction=text_of(row, "instruction", at=at),
                subsets=("intersection",) if row.get("Intersection_exist") else (),
            )
        )
    return Dataset(kind, tuple(samples))
