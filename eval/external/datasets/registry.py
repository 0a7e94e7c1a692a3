"""`KIND:PATH` -> the data set, checked: its ids name one task each and are no paths.

pie-bench         mapping_file.json beside annotation_images/ (Ju et al. 2024), or a folder of
                  PIE-Bench++ parquet files
magicbrush        edit_turns.json beside images/ID/ (Zhang et al. 2023): every turn, from the true
                  previous picture
magicbrush-final  the same, the last turn alone, from the editor's own previous edits
emu-edit          parquet files of the Emu Edit test set (Sheynin et al. 2024)
gedit, gedit-cn   parquet files of GEdit-Bench (Liu et al. 2025), in English or Chinese
imgedit           basic_edit.json of ImgEdit-Bench (Ye et al. 2025)
tedbench          a list of {img_name, target_text} (Kawar et al. 2023)
released          the paper's images.json: {"1.png": [source words, prompt]}
tasks             our tasks.json; the mask is the true box
csv               a folder with one CSV: image, prompt; optional: id, source, caption, instruction,
                  mask, target, category
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

from eval.external.datasets.contract import Adapter, Dataset
from eval.external.datasets.emu_edit import read_emu_edit
from eval.external.datasets.gedit import read_gedit, read_gedit_cn
from eval.external.datasets.imgedit import read_imgedit
from eval.external.datasets.magicbrush import read_final_turns, read_turns
from eval.external.datasets.pie_bench import read_pie_bench
from eval.external.datasets.released import read_released
from eval.external.datasets.table import read_table
from eval.external.datasets.tedbench import read_tedbench
from lr_edit.errors import UserError, suggest_name

ADAPTERS: dict[str, Adapter] = {
    "pie-bench": read_pie_bench,
    "magicbrush": read_turns,
    "magicbrush-final": read_final_turns,
    "emu-edit": read_emu_edit,
    "gedit": read_gedit,
    "gedit-cn": read_gedit_cn,
    "imgedit": read_imgedit,
    "tedbench": read_tedbench,
    "released": read_released,
    "tasks": read_released,
    "csv": read_table,
}
LONGEST_ID = 200


def open_dataset(spec: str) -> Dataset:
    """Read a data set.

    Args:
        spec: `KIND:PATH`; the path is the data set's folder or the file that lists its tasks.

    Returns:
        Its samples, in its own order.

    Raises:
        UserError: an unknown kind, what cannot be read, no task, an id twice, an id that is a path.
    """
    kind, _, place = spec.partition(":")
    if kind not in ADAPTERS or not place:
        known = ", ".join(f"{name}:PATH" for name in ADAPTERS)
        hint = suggest_name(kind, ADAPTERS) if place else f"; known: {known}"
        raise UserError(f"unknown dataset {spec!r}{hint}: write KIND:PATH")
    path = Path(place)
    try:
        there = path.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        raise UserError(f"dataset {spec!r}: {path} is not there")
    dataset = ADAPTERS[kind](path)
    _check(dataset, spec)
    return dataset


def _check(dataset: Dataset, spec: str) -> None:
    if not dataset.samples:
        raise UserError(f"dataset {spec!r} holds no task")
    ids = [sample.task.id for sample in dataset.samples]
    for name in ids:
        parts = name.replace("\\", "/").split("/")
        if len(name) > LONGEST_ID:
            raise UserError(
                f"dataset {spec!r}: task id {name[:80]!r}... has {len(name)} letters: give it a "
                f"name of at most {LONGEST_ID}"
            )
        if {"", ".", ".."} & set(parts):
            raise UserError(f"dataset {spec!r}: task id {name[:80]!r} is a path: give it a name")
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            raise UserError(f"dataset {spec!r}: task id {name[:80]!r} holds control characters")
    twice = [name for name, n in Counter(ids).items() if n > 1]
    if twice:
        raise UserError(f"dataset {spec!r}: task id {twice[0]!r} appears more than once")
    for sample in dataset.samples:
        words = (sample.task.prompt, sample.task.caption or "", sample.instruction)
        if any("\ud800" <= letter <= "\udfff" for letter in "".join(words)):
            raise UserError(
                f"dataset {spec!r}: the words of {sample.task.id!r} are no Unicode text"
            )
