"""Public editing benchmarks -> EditTasks and, where they have them, masks of the true region.

pie-bench   mapping_file.json beside annotation_images/ (Ju et al. 2024); masks are runs
released    the paper's images.json: {"1.png": [source words, prompt]}; no masks
tasks       our tasks.json; the mask is the true box
csv         a folder with one CSV: image, prompt; optional: id, source, caption, mask, category
magicbrush  edit_turns.json beside images/ID/ (Zhang et al. 2023); masks are cut-outs
tedbench    a list of {img_name, target_text} (Kawar et al. 2023); no masks

A task without a mask has no region: its region metrics are missing, not zero. Raises UserError for
what cannot be read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Bool

from eval.external.mask_files import Cutout, MaskSource, read_mask_of, size_text
from eval.metrics import pie_bench
from eval.metrics.regions import Protocol
from lr_edit.errors import UserError, suggest_name
from lr_edit.files import read_csv, read_json
from lr_edit.types import EditTask
from lr_edit.workspace.tasks import inside, read_tasks

COLUMNS = ("image", "prompt", "id", "source", "caption", "mask", "category")
PIE_TYPES = (
    "random", "change object", "add object", "delete object", "change content", "change pose",
    "change colour", "change material", "change background", "change style",
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """Tasks whose images are relative to `folder`; `masks` holds only tasks that have one."""

    kind: str
    folder: Path
    tasks: tuple[EditTask, ...]
    masks: Mapping[str, MaskSource] = field(default_factory=dict)

    def mask(
        self, task: EditTask, size: tuple[int, int], *, protocol: Protocol = "strict"
    ) -> Bool[np.ndarray, "h w"] | None:
        """True where edited, at the image's (height, width); None where the task has no mask.

        Under `pie-bench` the outermost pixels count as edited. UserError for another size.
        """
        source = self.masks.get(task.id)
        if source is None:
            return None
        try:
            mask = read_mask_of(source, size)
        except ValueError as error:
            raise UserError(f"the mask of task {task.id!r}: {error}") from None
        if mask.shape != size:
            raise UserError(
                f"the mask of task {task.id!r} is {size_text(mask.shape)} but its image is "
                f"{size_text(size)}: nothing is resized here, make both one size"
            )
        return pie_bench.add_ring(mask) if protocol == "pie-bench" else mask


def open_dataset(spec: str) -> Dataset:
    """`KIND:PATH`, the path being the dataset's folder or its list of tasks."""
    kind, _, place = spec.partition(":")
    if kind not in ADAPTERS or not place:
        known = ", ".join(f"{name}:PATH" for name in ADAPTERS)
        hint = suggest_name(kind, ADAPTERS) if place else f"; known: {known}"
        raise UserError(f"unknown dataset {spec!r}{hint}: write KIND:PATH")
    path = Path(place)
    if not path.exists():
        raise UserError(f"dataset {spec!r}: {path} is not there")
    dataset = ADAPTERS[kind](path)
    if not dataset.tasks:
        raise UserError(f"dataset {spec!r} holds no task")
    twice = [name for name, n in Counter(task.id for task in dataset.tasks).items() if n > 1]
    if twice:
        raise UserError(f"dataset {spec!r}: task id {twice[0]!r} appears more than once")
    return dataset


def read_pie_bench(path: Path) -> Dataset:
    """`mapping_file.json`: masks decode on 512x512, brackets in prompts are taken out."""
    path = _listing(path, "mapping_file.json")
    home = path.parent
    images = home / "annotation_images" if (home / "annotation_images").is_dir() else home
    tasks, masks = [], dict[str, MaskSource]()
    for name, row in _mapping(path).items():
        at = f"{path}: {name!r}"
        caption = pie_bench.strip_brackets(_text(row, "original_prompt", at))
        words = str(row.get("blended_word") or "").split()
        kind = str(row.get("editing_type_id", ""))
        tasks.append(
            EditTask(
                id=name,
                image=inside(images, _text(row, "image_path", at), said=at),
                source=words[0] if words else caption,
                prompt=pie_bench.strip_brackets(_text(row, "editing_prompt", at)),
                category=PIE_TYPES[int(kind)] if kind in map(str, range(10)) else kind or "edit",
                caption=caption,
            )
        )
        if row.get("mask") is not None:
            masks[name] = _runs(row["mask"], at)
    return Dataset("pie-bench", images, tuple(tasks), masks)


def read_listed(path: Path) -> Dataset:
    """The paper's images.json or our tasks.json; a true box is a mask."""
    path = _listing(path, "tasks.json", "images.json")
    tasks = tuple(read_tasks(path))
    masks = {task.id: task.truth.box for task in tasks if task.truth and task.truth.box}
    return Dataset("tasks", path.parent, tasks, masks)


def read_table(path: Path) -> Dataset:
    """A CSV, or a folder that holds exactly one; paths in it are relative to it."""
    if path.is_dir():
        found = sorted(path.glob("*.csv"))
        if len(found) != 1:
            raise UserError(f"{path} holds {len(found)} CSV files: name one")
        path = found[0]
    columns, rows = read_csv(path)
    for name in columns:
        if name not in COLUMNS:
            raise UserError(f"{path}: unknown column {name!r}{suggest_name(name or '', COLUMNS)}")
    tasks, masks = [], dict[str, MaskSource]()
    for number, row in rows:
        at = f"{path}, line {number}"
        image = inside(path.parent, _text(row, "image", at), said=at)
        task = EditTask(
            id=row.get("id") or image.with_suffix("").as_posix(),
            image=image,
            source=row.get("source") or "",
            prompt=_text(row, "prompt", at),
            category=row.get("category") or "edit",
            caption=row.get("caption") or None,
        )
        tasks.append(task)
        if row.get("mask"):
            masks[task.id] = path.parent / inside(path.parent, row["mask"], said=at)
    return Dataset("csv", path.parent, tuple(tasks), masks)


def read_magicbrush(path: Path) -> Dataset:
    """`edit_turns.json`: one task a turn, named after its output; captions where they are given."""
    path = _listing(path, "edit_turns.json")
    home, tasks, masks = path.parent, [], dict[str, MaskSource]()
    said = home / "global_descriptions.json"
    captions = read_json(said) if said.is_file() else {}
    for number, row in enumerate(_rows(path)):
        at = f"{path}: turn {number}"
        source, output = _text(row, "input", at), _text(row, "output", at)
        session = source.split("-")[0]
        about = captions.get(session, {})
        name = PurePosixPath(output).stem
        folder = PurePosixPath("images") / session
        tasks.append(
            EditTask(
                id=name,
                image=inside(home, str(folder / source), said=at),
                source="",
                prompt=about.get(output) or _text(row, "instruction", at),
                caption=about.get(source),
            )
        )
        if row.get("mask"):
            masks[name] = Cutout(home / inside(home, str(folder / str(row["mask"])), said=at))
    return Dataset("magicbrush", home, tuple(tasks), masks)


def read_tedbench(path: Path) -> Dataset:
    """A JSON list of img_name and target_text; a task is named after both."""
    path = _listing(path, "input_list.json")
    home = path.parent
    images = home / "originals" if (home / "originals").is_dir() else home
    tasks = []
    for number, row in enumerate(_rows(path)):
        at = f"{path}: row {number}"
        name, prompt = _text(row, "img_name", at), _text(row, "target_text", at)
        words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")
        image = inside(images, name, said=at)
        tasks.append(EditTask(id=f"{image.stem}-{words}", image=image, source="", prompt=prompt))
    return Dataset("tedbench", images, tuple(tasks))


ADAPTERS: dict[str, Callable[[Path], Dataset]] = {
    "pie-bench": read_pie_bench,
    "released": read_listed,
    "tasks": read_listed,
    "csv": read_table,
    "magicbrush": read_magicbrush,
    "tedbench": read_tedbench,
}


def _listing(path: Path, *names: str) -> Path:
    """The file that lists the tasks: one of `names` in a folder, or the file itself."""
    if not path.is_dir():
        return path
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        raise UserError(f"{path} holds no {' or '.join(names)}: name the file that lists the tasks")
    return found


def _mapping(path: Path) -> dict[str, dict[str, Any]]:
    found = read_json(path)
    if not (isinstance(found, dict) and all(isinstance(row, dict) for row in found.values())):
        raise UserError(f"{path} must map names to tasks")
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    found = read_json(path)
    if not (isinstance(found, list) and all(isinstance(row, dict) for row in found)):
        raise UserError(f"{path} must hold a list of tasks")
    return found


def _text(row: Mapping[str, Any], key: str, at: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{at} has no {key!r}: write one")
    return value


def _runs(value: Any, at: str) -> tuple[int, ...]:
    if not (isinstance(value, list) and all(type(number) is int for number in value)):
        raise UserError(f"{at}: a mask is a list of whole numbers, start and length in turn")
    return tuple(value)
