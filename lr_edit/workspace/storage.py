"""What lies on disk between stages, and how: the contract of lr_edit's stages with each other
and with eval.

    data/tasks.json, data/images/            what the user brings (storage.read_tasks)
    artifacts/tasks/                         the study's tasks, images at working size
    artifacts/candidates/SET/tables/ID       a Bank                         (.safetensors)
    artifacts/candidates/SET/images/ID       uint8 (points, sizes, 3, H, W) (.safetensors)
    artifacts/judge/SET/ID                   metric -> (points, sizes)      (.safetensors)
    artifacts/nets/VARIANT/                  ID.safetensors, curves.jsonl, probabilities.safetensors
    artifacts/edits/VARIANT/                 choices.json, ID.png (the first seed's edit)
    artifacts/scores/VARIANT.{csv,json}      per-image long table, summary
    reports/                                 tables and figures

Every write goes to a temporary name and is renamed: a killed run leaves whole files only.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lr_edit.errors import UserError
from lr_edit.types import Bank, Box, Choice, EditTask, Label, Truth


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Sorted keys, one newline at the end: equal values are equal files."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """UserError if missing or not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage that makes it (dvc repro)") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error})") from None


def write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Arrays to safetensors."""
    with atomic_write(path) as part:
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, part)


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays from safetensors; UserError if missing or unreadable."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage that makes it (dvc repro)") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}): delete it") from None


def write_bank(path: Path, bank: Bank) -> None:
    """A Bank to safetensors."""
    write_tensors(path, {k: np.asarray(v) for k, v in vars(bank).items()})


def read_bank(path: Path) -> Bank:
    """A Bank from safetensors."""
    tensors = read_tensors(path)
    nfe = tensors.pop("nfe").item()
    return Bank(nfe=nfe, **tensors)


def write_image(path: Path, image: np.ndarray) -> None:
    """uint8 (H, W, 3) to PNG."""
    with atomic_write(path) as part:
        Image.fromarray(image).save(part, format="PNG")


def read_image(file: Path | bytes, *, name: str | None = None) -> np.ndarray:
    """RGB uint8 (H, W, 3), upright; transparency is laid on white, 16 bits become 8.

    UserError if missing, corrupt, too large, or of values that are no colours; `name` says whose
    bytes they are.
    """
    name = name or f"image {file if isinstance(file, Path) else 'in memory'}"
    with open_picture(file, name=name) as picture:
        if picture.mode in ("I", "F"):
            raise UserError(f"{name} has 32-bit values: save it with 8 or 16 bits")
        if picture.mode.startswith("I;16"):
            picture = Image.fromarray((np.asarray(picture) // 256).astype(np.uint8))
        rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))


@contextmanager
def open_picture(file: Path | bytes, *, name: str) -> Iterator[Image.Image]:
    """Any picture as Pillow has it, decoded and upright: the one place where pictures are opened.

    UserError, which begins with `name`, if it is missing, corrupt or too large.
    """
    try:
        with _any_size(), Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as one:
            yield ImageOps.exif_transpose(one)
    except FileNotFoundError:
        raise UserError(f"{name} is missing") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(f"{name} has over {most} million pixels: make it smaller") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{name} cannot be read ({error}): replace it") from None


def picture_size(file: Path | bytes, *, name: str) -> tuple[int, int]:
    """(height, width) upright, from the file's head alone. UserError as `open_picture`."""
    try:
        with _any_size(), Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as one:
            turned = one.getexif().get(274, 1) in (5, 6, 7, 8)
            return one.size if turned else one.size[::-1]
    except (Image.DecompressionBombError, UnidentifiedImageError, OSError, SyntaxError, ValueError):
        with open_picture(file, name=name) as one:  # says why
            return one.size[::-1]


@contextmanager
def _any_size() -> Iterator[None]:
    """Pillow's word about large images is left out; what it refuses is said by the caller."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def write_choices(path: Path, choices: dict[str, list[Choice]]) -> None:
    """Task id -> one choice a seed."""
    write_json(path, {task: [asdict(c) for c in row] for task, row in choices.items()})


def read_choices(path: Path) -> dict[str, list[Choice]]:
    """Task id -> one choice a seed."""
    return {task: [Choice(**c) for c in row] for task, row in read_json(path).items()}


def write_tasks(path: Path, tasks: list[EditTask]) -> None:
    """Tasks to JSON, in the given order."""
    rows = [asdict(task) | {"image": task.image.as_posix()} for task in tasks]
    write_json(path, rows)


def read_tasks(path: Path) -> list[EditTask]:
    """Tasks from our tasks.json, or from the released images.json ({"1.png": [source, prompt]}).

    Raises UserError for an empty prompt, a repeated id, an unknown key, or an image outside the
    folder of `path`.
    """
    raw = read_json(path)
    if isinstance(raw, dict):
        raw = [_released(path, name, row) for name, row in raw.items()]
    if not isinstance(raw, list):
        raise UserError(f"{path} must hold a list of tasks or the released images.json")
    tasks = [_task(path, row) for row in raw]
    ids = [task.id for task in tasks]
    for name in ids:
        if ids.count(name) > 1:
            raise UserError(f"{path}: task id {name!r} appears more than once: make ids unique")
    return tasks


def _released(path: Path, name: str, row: Any) -> dict[str, Any]:
    if not (isinstance(row, list) and len(row) == 2):
        raise UserError(f"{path}: {name!r} must map to [source words, prompt]")
    stem = PurePosixPath(name).stem
    return {"id": stem, "image": name, "source": row[0], "prompt": row[1]}


def _task(path: Path, row: Any) -> EditTask:
    if not isinstance(row, dict):
        raise UserError(f"{path}: every task must be a mapping, got {row!r}")
    name = row.get("id", "?")
    unknown = set(row) - {field.name for field in fields(EditTask)}
    if unknown:
        raise UserError(f"{path}: task {name!r} has the unknown key {sorted(unknown)[0]!r}")
    for key in ("id", "image", "source", "prompt"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise UserError(f"{path}: task {name!r} has an empty {key!r}: write one")
    if not all(c.isalnum() or c in "-_." for c in row["id"]) or row["id"].startswith("."):
        raise UserError(f"{path}: task id {name!r} may hold letters, digits, '-', '_', '.' only")
    image = PurePosixPath(row["image"])
    home = path.parent.resolve()
    if image.is_absolute() or not (home / image).resolve().is_relative_to(home):
        raise UserError(f"{path}: the image {row['image']!r} of task {name!r} leaves {home.name}/")
    try:
        truth = _truth(row.get("truth"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: task {name!r} has a malformed truth ({error})") from None
    return EditTask(**{**row, "image": Path(image), "truth": truth})


def _truth(row: dict[str, Any] | None) -> Truth | None:
    if row is None:
        return None
    bystanders = tuple((Label(**label), Box(**box)) for label, box in row["bystanders"])
    return Truth(
        box=Box(**row["box"]) if row["box"] else None,
        wanted=Label(**row["wanted"]) if row["wanted"] else None,
        bystanders=bystanders,
    )


def find_tasks(data: Path) -> list[EditTask]:
    """Tasks of a data folder: its tasks.json, or the released images.json."""
    for name in ("tasks.json", "images.json"):
        if (data / name).is_file():
            return read_tasks(data / name)
    raise UserError(
        f"{data} holds neither tasks.json nor images.json: run `dvc pull`, or see "
        "`lr-edit photos --help`"
    )


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
    """sha256 over names and contents of every file below a folder (or of one file)."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else [folder]
    return content_key(*(x for p in paths for x in (p.name, p.read_bytes())))


def code_digest(file: Path) -> str:
    """sha256 over what a Python file does: its syntax tree without comments and docstrings."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return content_key(ast.dump(tree))


def empty_folder(folder: Path) -> Path:
    """The folder, with nothing of an earlier run in it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def study_tasks(root: Path) -> list[EditTask]:
    """The tasks that `prepare` wrote; their images are relative to artifacts/tasks."""
    return read_tasks(root / "artifacts/tasks/tasks.json")


def study_image(root: Path, task: EditTask) -> np.ndarray:
    """A task's source as uint8 (3, H, W), at working size."""
    return read_image(root / "artifacts/tasks" / task.image).transpose(2, 0, 1).copy()


def read_banks(root: Path, proposals: str, tasks: list[EditTask]) -> list[Bank]:
    """The scored candidates of a proposal set, in the order of the tasks."""
    folder = root / "artifacts/candidates" / proposals / "tables"
    return [read_bank(folder / f"{task.id}.safetensors") for task in tasks]
