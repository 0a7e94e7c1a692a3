"""The model card: what the small models reach, against the bars they are held to.

Enters models/picturebook with what training measured; leaves a page of Markdown and a sheet of
edits in the true box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lr_edit.config import Inpaint
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.frozen.judge import Judge, load_judge
from lr_edit.inpaint import noise_seed, paint_candidates
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.tasks import make_task
from lr_edit.picturebook.train import measured_path
from lr_edit.picturebook.world import SIDE, draw
from lr_edit.propose import snap_box
from lr_edit.storage import read_json, write_image
from lr_edit.types import Box, EditTask

COUNTS = {"replace": 48, "recolour": 48, "remove": 32}  # held-out edits of `val`
_FIRST = 5_000  # beyond the tasks of data/
# Model, measurement -> the bar, on held-out scenes of `val`.
BARS: dict[str, dict[str, float]] = {
    "vae": {"psnr": 28.0, "psnr_things": 24.0, "kind": 0.95, "colour": 0.95},
    "judge": {"kind": 0.97, "colour": 0.97, "none": 0.97},
    "teacher": {"right_caption": 0.85},
    "judge-clip": {"right_caption": 0.85},
    "anchors": {"top_on_thing": 0.90, "nine_on_thing": 0.70, "named_among_nine": 0.90},
    "inpainter": {"kind": 0.80, "colour": 0.85, "both": 0.70, "none": 0.80},
    "perceptual": {"ordered": 0.95},
}


def measure_inpainter(
    models: Path, inpaint: Inpaint, *, track: Callable[[Iterable, str], Iterable]
) -> tuple[dict[str, float], np.ndarray]:
    """Edits in the true box, told by the judge, and a sheet of the first 48: source over edit."""
    judge = load_judge(f"local-dir:{models / 'judge'}")
    painter = load_inpainter(
        f"local-dir:{models / 'inpainter'}",
        steps=inpaint.steps,
        guidance=inpaint.guidance,
        guided=inpaint.guided,
    )
    told: dict[str, list[tuple[bool, bool]]] = {name: [] for name in COUNTS}
    pairs = []
    for category, index in track(_wanted(), "edits in the true box"):
        task, before, _ = make_task(category, "val", _FIRST + index)
        source = torch.from_numpy(draw(before).copy()).permute(2, 0, 1)
        edited = _edit(painter, task, source, inpaint)
        told[category].append(_judged(judge, task, edited))
        pairs.append(torch.cat([source, edited], dim=1))
    kinds, colours = np.array(told["replace"] + told["recolour"]).T
    found = {
        "kind": float(kinds.mean()),
        "colour": float(colours.mean()),
        "both": float((kinds & colours).mean()),
        "none": float(np.array(told["remove"]).all(1).mean()),
        "edits": float(sum(COUNTS.values())),
    }
    return found, _sheet(pairs[::2][:64])


def measure_reconstructions(models: Path, pool: Pool, count: int = 256) -> dict[str, float]:
    """Share of things whose kind and colour the judge still tells after the autoencoder."""
    from diffusers import AutoencoderKL

    from lr_edit.picturebook.vae import reconstruct

    judge = load_judge(f"local-dir:{models / 'judge'}")
    vae = AutoencoderKL.from_pretrained(models / "inpainter/vae", torch_dtype=torch.float32)
    images = reconstruct(vae, pool.pictures(list(range(count))))
    things = [(row, t) for row in range(count) for t in pool.scenes[row].things]
    told = judge.kinds_and_colours(images[[row for row, _ in things]], [t.box for _, t in things])
    kinds = [kind == t.kind for (kind, _), (_, t) in zip(told, things, strict=True)]
    colours = [colour == t.colour for (_, colour), (_, t) in zip(told, things, strict=True)]
    return {"kind": float(np.mean(kinds)), "colour": float(np.mean(colours))}


def write_card(models: Path, page: Path) -> None:
    """reports/models.md: every bar beside what was measured."""
    lines = [
        "# The small models",
        "",
        "Drawn scenes, held-out `val` split. Made by `lr-edit picturebook train NAME`, measured by",
        "`lr-edit picturebook card`. They stand in for DINO, CLIP and Stable Diffusion: numbers",
        "made with them compare methods in this world and say nothing of photos.",
        "",
        "| model | measured | bar | reached | holds |",
        "| --- | --- | ---: | ---: | :---: |",
    ]
    footers = []
    for name, bars in BARS.items():
        path = measured_path(models, name)
        found: dict[str, Any] = read_json(path) if path.exists() else {}
        for key, bar in bars.items():
            value = found.get(key)
            told = "not measured" if value is None else f"{value:.3f}"
            holds = "" if value is None else ("yes" if value >= bar else "**no**")
            lines.append(f"| {name} | {key} | {bar:g} | {told} | {holds} |")
        if "steps" in found:
            footers.append(f"- {name}: {found['steps']} steps, seed {found['seed']}")
    sheet = ["Edits in the true box, source above, edit below:", "", "![edits](models_edits.png)"]
    text = [*lines, "", "Training, all on a CPU:", "", *footers, "", *sheet]
    page.write_text("\n".join(text) + "\n")


def write_sheet(path: Path, sheet: np.ndarray) -> None:
    """The sheet of edits, twice as large."""
    write_image(path, sheet.repeat(2, 0).repeat(2, 1))


def _wanted() -> list[tuple[str, int]]:
    names = [name for name, count in COUNTS.items() for _ in range(count)]
    return [(name, index) for index, name in enumerate(names)]


def _edit(painter: Any, task: EditTask, source: torch.Tensor, inpaint: Inpaint) -> torch.Tensor:
    box = task.truth.box if task.truth and task.truth.box else Box(0, 0, SIDE, SIDE)
    grown = Box(max(0, box.left - 2), max(0, box.top - 2), min(SIDE, box.right + 2),
                min(SIDE, box.bottom + 2))  # fmt: skip
    boxes = torch.tensor([[snap_box(grown, cell=4, side=SIDE).as_tuple()]])
    images, _ = paint_candidates(
        painter, source, task.prompt, boxes,
        seed=noise_seed(task.id, 0), feather=inpaint.feather, batch=1,
    )  # fmt: skip
    return images[0, 0]


def _judged(judge: Judge, task: EditTask, edited: torch.Tensor) -> tuple[bool, bool]:
    """(kind right, colour right); for a removal, whether neither stands there."""
    truth = task.truth
    assert truth is not None and truth.box is not None
    kind, colour = judge.kinds_and_colours(edited[None].float() / 255, [truth.box])[0]
    if truth.wanted is None:
        return kind == "none", True
    return kind == truth.wanted.kind, colour == truth.wanted.colour


def _sheet(pairs: list[torch.Tensor], columns: int = 16) -> np.ndarray:
    whole = range(0, len(pairs) - columns + 1, columns)
    rows = [torch.cat(pairs[i : i + columns], 2) for i in whole]
    return torch.cat(rows, 1).permute(1, 2, 0).numpy()
