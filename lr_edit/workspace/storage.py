"""What lies on disk between stages, and how: the contract of lr_edit's stages with each other
and with eval.

    data/tasks.json, data/images/            what the user brings (storage.read_tasks)
    artifacts/tasks/                         the study's tasks, images at working size
    artifacts/tables/SET/ID                  a Bank                         (.safetensors)
    artifacts/candidates/SET/ID              uint8 (points, sizes, 3, H, W) (.safetensors)
    artifacts/judge/SET/ID                   metric -> (points, sizes)      (.safetensors)
    artifacts/nets/VARIANT/                  ID.safetensors, curves.jsonl, probabilities.safetensors
    artifacts/edits/VARIANT/                 choices.json, ID.png (the first seed's edit)
    artifacts/scores/VARIANT.{csv,json}      per-image long table, summary
    reports/                                 tables and figures

Every write goes to a temporary name and is renamed: a killed run leaves whole files only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lr_edit.errors import UserError, shorten
from lr_edit.files import atomic_write, read_bytes, read_json, write_json
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.workspace.pictures import (  # noqa: F401
    open_picture,
    picture_size,
    read_image,
    write_image,
)
from lr_edit.workspace.tasks import find_tasks, read_tasks, write_tasks  # noqa: F401

_CURE = "run the stage that makes it (dvc repro)"


def write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Arrays to safetensors."""
    with atomic_write(path) as part:
        part.write_bytes(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays from safetensors; UserError if missing or unreadable."""
    data = read_bytes(path, cure=_CURE)
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{shorten(path)} cannot be read as safetensors ({shorten(error)}): delete it"
        ) from None


def write_bank(path: Path, bank: Bank) -> None:
    """A Bank to safetensors."""
    write_tensors(path, {k: np.asarray(v) for k, v in vars(bank).items() if v is not None})


def read_bank(path: Path) -> Bank:
    """The scored candidates of one task: artifacts/tables/SET/TASK.safetensors.

    Raises:
        UserError: The file is missing or unreadable, or its tables do not fit each other.
    """
    tensors = read_tensors(path)
    if wrong := _misfit(tensors):
        raise UserError(f"{shorten(path)} holds no candidates ({wrong}): delete it, then dvc repro")
    numbers = {name: tensors.pop(name).item() for name in ("nfe", "views") if name in tensors}
    return Bank(**numbers, **tensors)  # type: ignore[arg-type]


def _misfit(tensors: dict[str, np.ndarray]) -> str | None:
    """What keeps these tables from being a `Bank`, by their names, kinds and shapes."""
    kinds = {
        "boxes": ("iu", "psb"), "losses": ("f", "psl"), "cosines": ("f", "psc"),
        "anchors": ("iu", "pa"), "attention": ("f", "rq"), "features": ("f", "drq"),
        "relevance": ("f", "rq"), "nfe": ("iu", "n"),
    }  # fmt: skip
    later = {"ground": ("f", "ps"), "views": ("iu", "n")}  # banks of older versions have neither
    kinds |= {name: kind for name, kind in later.items() if name in tensors}
    if set(tensors) != set(kinds):
        return f"tables {', '.join(sorted(set(kinds) ^ set(tensors)))} missing or unknown"
    sides = {"b": 4, "l": 3, "c": 2, "a": 2, "n": 1}  # the others are what the first table says
    for name, (kind, shape) in kinds.items():
        found = tensors[name]
        fits = found.dtype.kind in kind and found.ndim == len(shape)
        if not fits or any(
            sides.setdefault(side, length) != length
            for side, length in zip(shape, found.shape, strict=True)
        ):
            return f"{name} is {found.dtype} of shape {found.shape}"
    return None if sides["p"] and sides["s"] else "there is none"


def write_choices(path: Path, choices: dict[str, list[Choice]]) -> None:
    """Task id -> one choice per seed."""
    write_json(path, {task: [asdict(c) for c in row] for task, row in choices.items()})


def read_choices(path: Path) -> dict[str, list[Choice]]:
    """What a variant chose, artifacts/edits/VARIANT/choices.json: task id -> one choice per seed.

    Raises:
        UserError: The file is missing, or holds no lists of candidates' numbers.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{shorten(path)} must map tasks to choices: {_CURE}")
    return {task: [_choice(path, task, one) for one in _list(row)] for task, row in found.items()}


def _choice(path: Path, task: str, row: Any) -> Choice:
    numbers = row.values() if isinstance(row, dict) and set(row) == {"point", "size"} else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise UserError(
            f"{shorten(path)}: task {shorten(task)} has the choice {shorten(row)}, which is no "
            f"point and size from 0: {_CURE}"
        )
    return Choice(**row)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def content_key(*parts: Any) -> str:
    """sha256 over values (JSON), bytes and arrays, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
        if not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """sha256 over paths and contents of every file below a folder (or of one file)."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else [folder]
    parts = []
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(folder) if path != folder else Path(path.name)
        parts.append([name.as_posix(), digest])
    return content_key(parts)


def study_tasks(root: Path) -> list[EditTask]:
    """The tasks that `prepare` wrote; their images are relative to artifacts/tasks."""
    path = root / "artifacts/tasks/tasks.json"
    tasks = read_tasks(path)
    if not tasks:
        raise UserError(f"{path} holds no task: {_CURE}")
    return tasks


def study_image(root: Path, task: EditTask) -> np.ndarray:
    """A task's source as uint8 (3, H, W), at working size."""
    return read_image(root / "artifacts/tasks" / task.image).transpose(2, 0, 1).copy()


def study_edit(root: Path, variant: str, *, task: EditTask) -> np.ndarray:
    """What a variant made of a task's source, by its first seed: uint8 (3, H, W). UserError where
    it is not of the source's size."""
    path = root / "artifacts/edits" / variant / f"{task.id}.png"
    edit, source = read_image(path).transpose(2, 0, 1), study_image(root, task)
    if edit.shape != source.shape:
        (high, wide), (height, width) = edit.shape[1:], source.shape[1:]
        raise UserError(
            f"{shorten(path)} is {wide}x{high}, and its source {width}x{height}: run its stage "
            "edit again"
        )
    return edit


def read_candidates(root: Path, proposals: str, *, task: EditTask, bank: Bank) -> np.ndarray:
    """The pictures of a task's bank: uint8 (points, sizes, 3, H, W). UserError for any others."""
    path = root / "artifacts/candidates" / proposals / f"{task.id}.safetensors"
    images = read_tensors(path).get("images", np.empty(0))
    shape = (*bank.losses.shape[:2], 3)
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[:3] != shape:
        raise UserError(
            f"{shorten(path)} does not hold the {shape[0]}x{shape[1]} candidates of its table: run "
            "its stage candidates again"
        )
    return images


def read_banks(root: Path, proposals: str, *, tasks: list[EditTask]) -> list[Bank]:
    """The scored candidates of a proposal set, in the order of the tasks.

    Args:
        root: The study's folder.
        proposals: A proposal set of its params.yaml.
        tasks: The tasks to read.

    Raises:
        UserError: A task's candidates are missing or unreadable.
    """
    folder = root / "artifacts/tables" / proposals
    return [read_bank(folder / f"{task.id}.safetensors") for task in tasks]
