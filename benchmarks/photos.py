"""reports/photos.md: small things in large pictures, inpainted in context or in the whole picture.

    python -m benchmarks.photos [TASKS]     # 0 writes the page anew from reports/photos.json

The drawn world at 256 and 1,024 pixels: its 64-pixel scenes drawn as large, alone or as one part of
a wider ground, so that what is edited is smaller. The world knows what is right, pixel by pixel.
"""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_gradient_magnitude

from eval.metrics.success import edit_success
from eval.statistics import Comparison, Estimate, estimate, paired_difference
from lr_edit.editor import Editor
from lr_edit.execution.environment import pin_environment
from lr_edit.files import write_text
from lr_edit.frozen.judge import Judge, load_judge
from lr_edit.picturebook import world
from lr_edit.picturebook.tasks import make_task
from lr_edit.propose import SEAM
from lr_edit.request import Crop
from lr_edit.result import EditResult
from lr_edit.types import Box, EditTask, Truth
from lr_edit.workspace.paths import find_root
from lr_edit.workspace.storage import read_json, write_image, write_json

SIDES, ROOMS = (256, 1024), (1, 2, 4)  # pixels; scenes that would fit beside each other
CROPS: tuple[Crop, ...] = get_args(Crop)
SPLIT, FIRST = "dev", 700_000  # scenes that no model was trained on and no study edits
CATEGORIES = ("replace", "recolour", "remove")
TASKS = 48
NUMBERS, PAGE = Path("reports/photos.json"), Path("reports/photos.md")
PICTURE, SHOWN = Path("reports/photos.png"), 200  # pixels of a scene in it
STILL = 3  # of 255: what is drawn alike before and after
STEEPEST = 99  # percentile
MEASURES = ("success", "placed", "seam", "sharpness", "seconds")


@dataclass(frozen=True)
class Scene:
    """A task in a picture of its own: drawn before and after, and what a 64-pixel thing's size is
    there. The task's truth is in pixels of the reduced picture, on which the judge was trained."""

    task: EditTask
    before: np.ndarray
    after: np.ndarray
    scale: float


def draw_scene(index: int, *, side: int, room: int) -> Scene:
    """Task `index`, in a picture of `room` times the ground of the world's; it never changes."""
    task, before, after = make_task(CATEGORIES[index % len(CATEGORIES)], SPLIT, index=FIRST + index)
    free = world.SIDE * (room - 1) + 1
    dx, dy = (int(at) for at in np.random.default_rng([index, room]).integers(free, size=2))
    scale = side / (world.SIDE * room)
    drawn = [_draw(scene, side=side, scale=scale, shift=(dx, dy)) for scene in (before, after)]
    truth = task.truth
    assert truth is not None and truth.box is not None
    bystanders = tuple((label, _moved(box, dx, dy)) for label, box in truth.bystanders)
    moved = Truth(_moved(truth.box, dx, dy), truth.wanted, bystanders)
    return Scene(replace(task, truth=moved), drawn[0], drawn[1], scale)


def _draw(scene: world.Scene, *, side: int, scale: float, shift: tuple[int, int]) -> np.ndarray:
    zoom = max(2, 1024 // side)  # drawn larger and averaged down, as the world does
    image = world._ground(scene.ground, scene.texture).resize((side * zoom,) * 2)
    pen, unit = ImageDraw.Draw(image), scale * zoom
    for one in scene.things:
        at = (unit * (one.x + shift[0]), unit * (one.y + shift[1]))
        colour = world.COLOURS[one.colour]
        world._DRAWINGS[one.kind](world._Pen(pen, *at, unit * one.radius, colour))
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def _moved(box: Box, dx: int, dy: int) -> Box:
    return Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)


def measure(scene: Scene, result: EditResult, *, judge: Judge) -> dict[str, float]:
    """What the judge says of the reduced picture, and how it looks at full size.

    seam  error in 255ths at the box's inner rim, of what is ground before and after
    """
    edited, box = np.asarray(result.image), result.box
    outside = np.ones(edited.shape[:2], dtype=bool)
    outside[box.top : box.bottom, box.left : box.right] = False
    assert (edited[outside] == scene.before[outside]).all()
    side, small = len(edited), round(len(edited) / scene.scale)
    reduced = [
        torch.from_numpy(np.asarray(Image.fromarray(one).resize((small, small), 1)).copy())
        .permute(2, 0, 1)[None].float() / 255
        for one in (scene.before, edited)
    ]  # fmt: skip
    low = [int(at / scene.scale) for at in box.as_tuple()[:2]]
    high = [min(small, int(np.ceil(at / scene.scale))) for at in box.as_tuple()[2:]]
    (verdict,) = edit_success(
        reduced[0], reduced[1], boxes=[Box(*low, *high)], truth=scene.task.truth,
        words=scene.task.source, judge=judge,
    )  # fmt: skip
    rim = ~outside
    reach = max(1, (box.right - box.left + box.bottom - box.top) // 32)
    rim[
        max(box.top, 0) + reach * (box.top > 0) : box.bottom - reach * (box.bottom < side),
        max(box.left, 0) + reach * (box.left > 0) : box.right - reach * (box.right < side),
    ] = False
    drawn, before = scene.after.astype(float), scene.before.astype(float)
    rim &= np.abs(drawn - before).max(2) <= STILL
    return {
        "success": verdict.success,
        "placed": verdict.placed,
        "seam": float(np.median(np.abs(edited - drawn)[rim])) if rim.any() else np.nan,
    }


def sharpness(scene: Scene, result: EditResult) -> float:
    """The steepest edges in the box over those that the world draws there."""
    box = result.box
    steepest = []
    for picture in (np.asarray(result.image), scene.after):
        slopes = gaussian_gradient_magnitude(picture.astype(float).mean(2), 1.0)
        inside = slopes[box.top : box.bottom, box.left : box.right]
        steepest.append(np.percentile(inside, STEEPEST))
    return float(steepest[0] / steepest[1])


def edit(editor: Editor, scene: Scene, *, crop: Crop, found: bool) -> EditResult:
    """By the words alone, or in the true box."""
    truth = scene.task.truth
    assert truth is not None and truth.box is not None
    side, own = len(scene.before), None
    if not found:
        low = [max(0, round((at - SEAM) * scene.scale)) for at in truth.box.as_tuple()[:2]]
        high = [min(side, round((at + SEAM) * scene.scale)) for at in truth.box.as_tuple()[2:]]
        own = [Box(*low, *high)]
    return editor(scene.before, source=scene.task.source, prompt=scene.task.prompt, boxes=own,
                  crop=crop, force=True)  # fmt: skip


def main() -> None:
    """Edit, measure, write."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    if count:
        measure_all(count)
    write_text(PAGE, write_page(read_json(NUMBERS)))


def measure_all(count: int) -> None:
    """Every task at every size, both ways: the numbers, and a picture of some."""
    pin_environment()
    root = find_root(None)
    editor = Editor.from_profile("picturebook", root=root, device="cpu")
    judge = load_judge(f"local-dir:{root / 'models/picturebook/judge'}")
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    strips: list[np.ndarray] = []
    for index, side, room in itertools.product(range(count), SIDES, ROOMS):
        scene = draw_scene(index, side=side, room=room)
        shown = [scene.before]
        for found, crop in itertools.product((False, True), CROPS):
            start = time.perf_counter()
            result = edit(editor, scene, crop=crop, found=found)
            taken = {"seconds": time.perf_counter() - start}
            shown.append(np.asarray(result.image))
            where = {"found": found, "side": side, "room": room, "crop": crop}
            row = rows.setdefault(tuple(where.values()), where | {name: [] for name in MEASURES})
            values = measure(scene, result, judge=judge) | taken
            values["sharpness"] = np.nan if found else sharpness(scene, result)
            for name, value in values.items():
                row[name].append(round(value, 4) if np.isfinite(value) else None)
        if index < len(ROOMS) and index == ROOMS.index(room) and side == max(SIDES):
            strips.append(_strip(shown))
        write_json(NUMBERS, sorted(rows.values(), key=lambda row: _key(row)))
    write_image(PICTURE, np.concatenate(strips))


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["found"], row["side"], row["room"], row["crop"]


def _strip(row: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(
        [np.asarray(Image.fromarray(one).resize((SHOWN, SHOWN), 1)) for one in row], axis=1
    )


HEAD = """# Photos: in context or whole

    python -m benchmarks.photos

{count} tasks of the drawn world (replace, recolour, remove in turn), on scenes that no model was
trained on, edited with the bundled models, which see 64 pixels. *Room 1* is a scene as the models
know it, drawn as large as the picture; at *room 2* and *4* it is a half and a quarter of the
picture's side, and all else is ground: what is edited is that much smaller. *whole* inpaints in the
whole picture, reduced to 64 pixels; *context* in a square about the box. Where to edit is looked
for in the whole picture either way, or told: the true box.

Success is that of the evaluation, asked of the edit reduced to where things are as large as its
judge knows them. *Seam* is the error, of 255, of ground at the inner rim of the box (median).
*Sharpness*, asked of edits in the true box, is how steep its steepest edges are, over those of the
same place drawn right, where both ways placed the thing (empty: nowhere, or not asked): 1 is as
sharp. No pixel outside a box changed, in any edit.
Means with 95% intervals; differences are paired over tasks. Seconds are of one CPU core, beside
other work.

"""
TAIL = """
In the true box, context wins by far as soon as what is edited is small, and is as good where it is
not. In boxes that are found by the words neither way is better: those boxes are large for a small
thing, and what fails there fails before anything is inpainted. So context is the default where a
photo is larger than the models see; it takes longer, since boxes of different squares are not
inpainted together.

![scenes and their edits](photos.png)

*At 1,024 pixels, rooms 1, 2 and 4: the scene; the true box in context and whole; the box found by
the words in context and whole.*
"""


def write_page(rows: list[dict[str, Any]]) -> str:
    """The table, one line for each size and box."""
    head = [
        "box", "pixels", "room", "Success, %: whole", "context", "difference, points",
        "Seam: whole", "context", "Sharpness: whole", "context", "s: whole", "context",
    ]  # fmt: skip
    lines = [head, ["---"] * 3 + ["---:"] * 9]
    by_key = {_key(row): row for row in rows}
    for found, side, room in itertools.product((False, True), SIDES, ROOMS):
        pair = [by_key[found, side, room, crop] for crop in ("whole", "context")]
        values = {name: [np.array(one[name], dtype=float) for one in pair] for name in MEASURES}
        whole, context = values["success"]
        better = paired_difference(context, whole, higher_is_better=True)
        placed = np.all([one == 1 for one in values["placed"]], axis=0)
        lines.append(
            ["by the words" if found else "true", f"{side:,}", str(room),
             *(_shown(estimate(one), scale=100) for one in (whole, context)),
             _shown(better, scale=100, sign="+"),
             *(f"{np.nanmean(one):.1f}" for one in values["seam"]),
             *("" if found or not placed.any() else f"{one[placed].mean():.2f}"
               for one in values["sharpness"]),
             *(f"{np.mean(one):.1f}" for one in values["seconds"])]
        )  # fmt: skip
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return HEAD.format(count=len(rows[0]["success"])) + table + "\n" + TAIL


def _shown(found: Estimate | Comparison, *, scale: float, sign: str = "") -> str:
    middle = found.difference if isinstance(found, Comparison) else found.mean
    if middle is None:
        return ""
    text = f"{scale * middle:{sign}.1f}"
    if found.low is not None and found.high is not None:
        text += f" [{scale * found.low:{sign}.1f}, {scale * found.high:{sign}.1f}]"
    return text.replace("-", "−")


if __name__ == "__main__":
    main()
