"""Bad input by the thousand: each is read, or refused in one sentence of bounded length.

A case is a good file with something wrong: bytes changed or cut, a value of another kind, a key
twice, a path that leads elsewhere. None may crash, hang, or read or write outside the folder.
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from safetensors.torch import load, save

from eval.external.mask_files import read_mask
from lr_edit.config import load_config
from lr_edit.errors import UserError
from lr_edit.files import read_csv, read_json, read_yaml
from lr_edit.frozen.dino import load_dino
from lr_edit.picturebook import anchors
from lr_edit.request import Request, read_picture
from lr_edit.tracking.lockfile import read_lock
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.workspace.pictures import read_image
from lr_edit.workspace.storage import read_bank, read_choices, write_bank, write_choices
from lr_edit.workspace.tasks import read_tasks, write_tasks
from tests.source_tree import ROOT

SLOW = 10.0  # seconds of one case
ODD: list[Any] = [
    None, True, -1, 0, 1.5, 10**30, float("nan"), float("inf"), "", " ", "x" * 3000, "\x00",
    "\ud800", "é", "字", "../x", "/etc/passwd", "a/b", "=1+1", "<b>", "{}", "{x}", [], [[]], {},
    {"a": 1}, "\u202e",
    "../" * 9 + "etc/passwd", ["a"], "1e999", "nan", "\n", "a\nb", "-", ".", "..", "C:\\x", "~",
]  # fmt: skip
WORDS = [word for word in ODD if isinstance(word, str)]
KINDS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "PPM", "AVIF")
MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F")


def try_inputs(folder: Path, *, count: int, rng: random.Random) -> tuple[Counter, list[str]]:
    """How the cases ended, by area and verdict, and a line for each that ended badly."""
    verdicts, bad = Counter[str](), []
    outside: list[str] = []
    watching = [False]

    def watch(event: str, details: tuple) -> None:
        if watching[0] and event == "open" and isinstance(details[0], str | bytes):
            name = (
                details[0] if isinstance(details[0], str) else details[0].decode(errors="replace")
            )
            known = name.startswith((str(folder), str(ROOT), sys.prefix, sys.base_prefix))
            if not known and name.startswith("/") and not name.startswith(("/proc/", "/dev/null")):
                outside.append(name)

    sys.addaudithook(watch)
    for n in range(count):
        area = list(AREAS)[n % len(AREAS)]
        read, make = AREAS[area]
        path = folder / f"case{n % 50}{Path(area).suffix}"
        path.write_bytes(make(rng))
        start, watching[0] = time.monotonic(), True
        verdict, said = _judge(read, path)
        watching[0] = False
        if time.monotonic() - start > SLOW:
            verdict, said = "slow", f"{time.monotonic() - start:.0f} s"
        if outside:
            verdict, said = "left the folder", outside.pop()
            outside.clear()
        verdicts[f"{area}: {verdict}"] += 1
        if verdict not in ("read", "refused"):
            bad.append(f"{area}, case {n}: {verdict} ({said})")
    return verdicts, bad


def _judge(read: Callable[[Path], Any], path: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except UserError as error:
        said = str(error)
        fine = "\n" not in said and len(said) < 2000
        return ("refused" if fine else "unclear"), said[:300]
    except BaseException as error:
        return "crashed", f"{type(error).__name__}: {error}"[:300]
    return "read", ""


def _spoil(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, doubled, put in, or left as they are."""
    how = rng.randrange(6)
    if not data or how == 0:
        return data
    at = rng.randrange(len(data))
    if how == 1:
        return data[:at]
    if how == 2:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if how == 3:
        return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
    if how == 4:
        return data[:at] + data[at // 2 : at] + data[at:]
    return data.decode("latin-1").encode(rng.choice(["utf-16", "utf-8-sig", "utf-32"]))


def _change(value: Any, rng: random.Random) -> Any:
    """The value with one part of it, anywhere inside, of another kind, gone, or put twice."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        rest = {k: v for k, v in value.items() if k != key}
        how = rng.randrange(5)
        if how == 0:
            return rest
        if how == 1:
            return {**rest, str(rng.choice(ODD))[:40]: value[key]}
        return {**rest, key: _change(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], _change(value[at], rng), *value[at + (rng.random() < 0.9) :]]
    return rng.choice(ODD)


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _text(value: Any, rng: random.Random, dump: Callable[[Any], bytes]) -> bytes:
    data = dump(_change(value, rng))
    return _spoil(data, rng) if rng.random() < 0.3 else data


def _picture(rng: random.Random) -> bytes:
    mode, kind = rng.choice(MODES), rng.choice(KINDS)
    size = rng.choice([(1, 1), (7, 5), (64, 64), (300, 2)])
    noise = np.frombuffer(rng.randbytes(size[0] * size[1] * 4), np.uint8)
    picture = Image.fromarray(noise.reshape(size[1], size[0], 4), "RGBA")
    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = rng.choice([1, 3, 6, 8, 9, 0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.convert("L" if mode in ("I;16", "I", "F") else mode).convert(mode).save(
                file, format=kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {})
            )
    except (OSError, ValueError, KeyError, SystemError):
        picture.save(file, format="PNG")
    return _spoil(file.getvalue(), rng)


def _mask(rng: random.Random) -> bytes:
    """Black and white, as masks are."""
    file, bits = BytesIO(), np.frombuffer(rng.randbytes(64 * 64), np.uint8) % 2 * 255
    picture = Image.fromarray(bits.reshape(64, 64) * rng.randrange(2))
    picture = picture.convert(rng.choice(["L", "1", "RGB", "RGBA", "P"]))
    picture.save(file, rng.choice(["PNG", "TIFF", "WEBP"]), lossless=True)
    return file.getvalue() if rng.random() < 0.5 else _spoil(file.getvalue(), rng)


def _csv(rng: random.Random) -> bytes:
    cells = [
        "a.png",
        "a fish",
        "a, b",
        'a "b"',
        '"a, b"',
        '"open',
        "",
        " x",
        "é",
        "=1",
        "a\tb",
        "../a",
    ]
    columns = rng.sample(["image", "prompt", "source", "mask", "prompt", "id"], 3)
    rows = [columns, *([rng.choice(cells) for _ in columns] for _ in range(rng.randrange(5)))]
    text = rng.choice(["\n", "\r\n"]).join(",".join(row) for row in rows)
    return _spoil(text.encode(rng.choice(["utf-8", "utf-8-sig"])), rng)


def _saved(write: Callable[[Path, Any], None], value: Any, folder: Path) -> bytes:
    write(folder / "good", value)
    return (folder / "good").read_bytes()


def _bank() -> Bank:
    return Bank(
        boxes=np.zeros((2, 3, 4), int), losses=np.zeros((2, 3, 3)), cosines=np.zeros((2, 3, 2)),
        anchors=np.zeros((2, 2), int), attention=np.zeros((4, 4)), features=np.zeros((2, 4, 4)),
        relevance=np.zeros((4, 4)), nfe=3,
    )  # fmt: skip


def _load_anchors(path: Path) -> None:
    """A model with these weights, as the loaders take it; right weights alone are read."""
    home = path.parent / "anchors"
    (home / "model.safetensors").write_bytes(path.read_bytes())
    load_dino(f"local-dir:{home}")


def _weights(folder: Path, rng: random.Random) -> bytes:
    """A model's file: spoiled, or with a tensor gone, of another shape, or with NaN in it."""
    data = (folder / "weights").read_bytes()
    if rng.random() < 0.5:
        return _spoil(data, rng)
    tensors = load(data)
    name = rng.choice(sorted(tensors))
    how = rng.randrange(4)
    if how == 0:
        del tensors[name]
    elif how == 1:
        tensors[name] = tensors[name].flatten()[:1]
    elif how == 2:
        tensors[name] = tensors[name] * float("nan")
    return save(tensors)


def _ask(path: Path) -> None:
    """Words for an edit."""
    source, prompt = json.loads(path.read_text(encoding="utf-8"))
    Request(source, prompt)


def _as_yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True).encode(errors="replace")


def _areas(folder: Path) -> Iterator[tuple[str, tuple[Callable, Callable]]]:
    tasks = [EditTask(f"t{n}", Path(f"images/t{n}.png"), "a boat", "a fish") for n in range(3)]
    listed = json.loads(_saved(write_tasks, tasks, folder))
    released = {"1.png": ["a boat", "a fish"], "2.png": ["a cup", "a tree"]}
    choices = json.loads(_saved(write_choices, {"a": [Choice(0, 1)], "b": []}, folder))
    bank = _saved(write_bank, _bank(), folder)
    anchors.export(anchors.build(), folder / "anchors")
    (folder / "weights").write_bytes((folder / "anchors/model.safetensors").read_bytes())
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"] = dict(list(lock["stages"].items())[:3])
    yield "images.png", (read_image, _picture)
    yield "masks.png", (read_mask, lambda rng: rng.choice([_picture, _mask, _mask, _mask])(rng))
    yield "tasks.json", (read_tasks, lambda rng: _text(listed, rng, _as_json))
    yield "released.json", (read_tasks, lambda rng: _text(released, rng, _as_json))
    yield "lists.csv", (read_csv, _csv)
    yield "parameters.yaml", (load_config, lambda rng: _text(params, rng, _as_yaml))
    yield "locks.lock", (read_lock, lambda rng: _text(lock, rng, _as_yaml))
    yield "choices.json", (read_choices, lambda rng: _text(choices, rng, _as_json))
    yield "tables.safetensors", (read_bank, lambda rng: _spoil(bank, rng))
    yield "photos.png", (read_picture, _picture)
    yield "weights.safetensors", (_load_anchors, lambda rng: _weights(folder, rng))
    yield "words.json", (_ask, lambda rng: _as_json(rng.choices(WORDS, k=2)))
    yield "any.json", (read_json, lambda rng: _spoil(_as_json(listed), rng))
    yield "any.yaml", (read_yaml, lambda rng: _spoil(_as_yaml(lock), rng))


AREAS: dict[str, tuple[Callable, Callable]] = {}


def prepare_areas(folder: Path) -> None:
    """Make the good files that the cases start from."""
    AREAS.update(_areas(folder))
