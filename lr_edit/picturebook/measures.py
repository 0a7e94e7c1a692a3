"""What the shipped models do on held-out scenes: edits in the true box, reconstructions, anchors.

Enters models/picturebook, loaded as a study loads it; leave numbers for the bars, and pictures with
two lines of words each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from torchvision.ops import box_iou

from lr_edit.boxes import anchor_points, cells_to_pixels, square_boxes
from lr_edit.frozen import Inpainter
from lr_edit.frozen.dino import load_dino
from lr_edit.frozen.editors import load_editor
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.frozen.judge import NONE, load_judge
from lr_edit.inpaint import inpaint_candidates, noise_seed
from lr_edit.instruct import Instructed
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.tasks import make_task
from lr_edit.picturebook.vae import GRID, reconstruct
from lr_edit.picturebook.words import LENGTH
from lr_edit.picturebook.world import SIDE, draw
from lr_edit.proposal_set import Inpaint, ProposalSet, Propose
from lr_edit.propose import draw_boxes
from lr_edit.types import EditTask

EDITS = {"replace": 96, "recolour": 96, "remove": 64}  # held-out edits of `val`
_FIRST = 5_000  # beyond the tasks of data/
Track = Callable[[Iterable, str], Iterable]
Edit = Callable[[EditTask, Tensor], Tensor]  # a task and its source -> the edit, both uint8


@dataclass(frozen=True)
class Exhibit:
    """Pictures side by side, uint8 (h, w, 3); words about them; how well it went, higher better."""

    pictures: tuple[np.ndarray, ...]
    words: str
    worth: float


def in_true_boxes(models: Path, inpaint: Inpaint) -> Edit:
    """Edits by the shipped inpainter, in the true box."""
    inpainter = load_inpainter(f"local-dir:{models / 'inpainter'}")
    return lambda task, source: _inpaint(inpainter, task, source, inpaint)


def as_instructed(models: Path, inpaint: Inpaint) -> Edit:
    """Edits of the whole picture by the shipped editor."""
    editor = load_editor(f"local-dir:{models / 'editor'}")

    def edit(task: EditTask, source: Tensor) -> Tensor:
        images, _ = inpaint_candidates(
            Instructed(editor, source=task.source), source, prompt=task.prompt,
            boxes=torch.tensor([[[0, 0, SIDE, SIDE]]]), sampler=inpaint.sampler,
            seed=noise_seed(task.id, 0), feather=0, batch=1,
        )  # fmt: skip
        return images[0, 0]

    return edit


def measure_edits(
    models: Path, edit: Edit, *, track: Track, counts: dict[str, int] = EDITS
) -> tuple[dict[str, float], list[Exhibit]]:
    """Replace, recolour and remove, told by the judge at the true box; source beside edit."""
    judge = load_judge(f"local-dir:{models / 'judge'}")
    kinds, colours, nones, exhibits = [], [], [], []
    wanted = [name for name, count in counts.items() for _ in range(count)]
    for index, category in enumerate(track(wanted, "held-out edits")):
        task, before, _ = make_task(category, "val", index=_FIRST + index)
        source = torch.from_numpy(draw(before).copy()).permute(2, 0, 1)
        edited = edit(task, source)
        truth = task.truth
        assert truth is not None and truth.box is not None
        kind, colour = (p[0] for p in judge.probabilities(edited[None].float() / 255, [truth.box]))
        seen = judge.kinds[int(kind.argmax())], judge.colours[int(colour.argmax())]
        if truth.wanted is None:
            nones.append(seen[0] == NONE)
            worth = float(kind[judge.kinds.index(NONE)])
        else:
            kinds.append(seen[0] == truth.wanted.kind)
            colours.append(seen[1] == truth.wanted.colour)
            worth = float(
                kind[judge.kinds.index(truth.wanted.kind)]
                * colour[judge.colours.index(truth.wanted.colour)]
            )
        told = NONE if seen[0] == NONE else f"{seen[1]} {seen[0]}"
        exhibits.append(
            Exhibit((_picture(source), _picture(edited)), f"{task.prompt}\njudge: {told}", worth)
        )
    both = np.array(kinds) & np.array(colours)
    found = {
        "kind": float(np.mean(kinds)),
        "colour": float(np.mean(colours)),
        "both": float(both.mean()),
        "none": float(np.mean(nones)),
        "edits": float(len(wanted)),
    }
    return found, exhibits


@torch.no_grad()
def measure_speed(models: Path, *, batch: int = 27, repeats: int = 5) -> dict[str, float]:
    """Milliseconds of a UNet evaluation, a sample, in batches; the fastest of some."""
    unet = UNet2DConditionModel.from_pretrained(
        models / "inpainter/unet", torch_dtype=torch.float32
    ).to(memory_format=torch.channels_last)
    cells = SIDE // GRID
    entry = torch.zeros(batch, 9, cells, cells).to(memory_format=torch.channels_last)
    words = torch.zeros(batch, LENGTH, unet.config.cross_attention_dim)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        unet(entry, 500, encoder_hidden_states=words)
        times.append(time.perf_counter() - start)
    return {
        "milliseconds": 1000 * min(times) / batch,
        "threads": float(torch.get_num_threads()),
    }


def _inpaint(inpainter: Inpainter, task: EditTask, source: Tensor, inpaint: Inpaint) -> Tensor:
    boxes = draw_boxes(
        task,
        torch.zeros(1, 2, dtype=torch.int64),
        scores=torch.zeros(1, 1),
        proposals=ProposalSet.model_validate(
            {"anchors": "truth", "boxes": "truth", "propose": {}, "inpaint": inpaint}
        ),
        side=SIDE,
        cell=GRID,
        seed=0,
    )
    seed = noise_seed(task.id, 0)
    images, _ = inpaint_candidates(
        inpainter, source, prompt=task.prompt, boxes=boxes,
        sampler=inpaint.sampler, seed=seed, feather=inpaint.feather, batch=1,
    )  # fmt: skip
    return images[0, 0]


def measure_reconstructions(
    models: Path, pool: Pool, *, count: int = 256
) -> tuple[dict[str, float], list[Exhibit]]:
    """Share of things whose kind and colour the judge still tells after the autoencoder."""
    judge = load_judge(f"local-dir:{models / 'judge'}")
    vae = AutoencoderKL.from_pretrained(models / "inpainter/vae", torch_dtype=torch.float32).eval()
    source = pool.pictures(list(range(count)))
    images = reconstruct(vae, source)
    things = [(row, t) for row in range(count) for t in pool.scenes[row].things]
    told = judge.kinds_and_colours(images[[row for row, _ in things]], [t.box for _, t in things])
    kinds = [kind == t.kind for (kind, _), (_, t) in zip(told, things, strict=True)]
    colours = [colour == t.colour for (_, colour), (_, t) in zip(told, things, strict=True)]
    decibel = -10 * (images - source).square().flatten(1).mean(1).log10()
    exhibits = [
        Exhibit((_picture(before), _picture(after)), f"{caption}\n{float(db):.1f} dB", float(db))
        for before, after, caption, db in zip(source, images, pool.captions, decibel, strict=False)
    ]
    return {"kind": float(np.mean(kinds)), "colour": float(np.mean(colours))}, exhibits


def measure_bank(
    models: Path, pool: Pool, *, propose: Propose, count: int = 256
) -> tuple[dict[str, float], list[Exhibit]]:
    """Recall of the bank: share of things that one of its boxes meets at IoU 0.5 or more."""
    dino = load_dino(f"local-dir:{models / 'anchors'}")
    recalled, exhibits = [], []
    rows = [row for row in range(len(pool)) if pool.scenes[row].things][:count]
    for row in rows:
        image = pool.pictures([row])
        attention = dino.attention(image)[0]
        grid = tuple(attention.shape)
        anchors = anchor_points(
            attention, points=propose.points, distance=propose.distance, margin=propose.margin
        )
        boxes = square_boxes(anchors, grid=grid, side=SIDE, sizes=propose.sizes, cell=GRID)
        truth = torch.tensor([thing.box.as_tuple() for thing in pool.scenes[row].things])
        best = box_iou(boxes.flatten(0, 1).float(), truth.float()).amax(0).tolist()
        recalled += [value >= 0.5 for value in best]
        points = cells_to_pixels(anchors, grid=grid, side=SIDE)
        shown = _picture((image[0] * 255).round())
        exhibits.append(
            Exhibit(
                (shown, _heat(shown, attention), _dots(shown, points.tolist())),
                f"{pool.scenes[row].caption}\nbest IoU {min(best):.2f}",
                min(best),
            )
        )
    return {"bank_recall": float(np.mean(recalled))}, exhibits


def worst(exhibits: Sequence[Exhibit], count: int = 10) -> list[Exhibit]:
    """Those that went worst, the very worst first."""
    return sorted(exhibits, key=lambda one: one.worth)[:count]


def _picture(image: Tensor) -> np.ndarray:
    if image.dtype != torch.uint8 and image.max() <= 1:
        image = (image * 255).round()
    return image.permute(1, 2, 0).numpy().astype(np.uint8)


def _heat(picture: np.ndarray, attention: Tensor) -> np.ndarray:
    """The picture, dark where attention is low."""
    share = (attention / attention.max()).numpy()
    share = share.repeat(SIDE // share.shape[0], 0).repeat(SIDE // share.shape[1], 1)
    return (picture * (0.25 + 0.75 * share[..., None])).astype(np.uint8)


def _dots(picture: np.ndarray, points: list[list[float]]) -> np.ndarray:
    """The picture with a dot at every (x, y), the first in another colour."""
    marked = picture.copy()
    for rank, (x, y) in reversed(list(enumerate(points))):
        rows, columns = slice(round(y) - 2, round(y) + 2), slice(round(x) - 2, round(x) + 2)
        marked[rows, columns] = (255, 40, 40) if rank == 0 else (20, 20, 20)
        marked[round(y) - 1 : round(y) + 1, round(x) - 1 : round(x) + 1] = (255, 255, 255)
    return marked
