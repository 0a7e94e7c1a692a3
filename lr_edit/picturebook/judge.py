"""The judge's training: crops of drawn scenes in, a kind and a colour (or `none`) out.

A small timm ResNet without running statistics, exported as a timm folder with its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models import ResNet
from torch import Tensor

from lr_edit.files import write_text
from lr_edit.frozen.judge import CROP, NONE, Judge, crops, squares
from lr_edit.picturebook.degrade import degrade
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, Scene
from lr_edit.types import Box

RECIPE = Recipe(
    steps=900, batch=96, rate=2e-3, weight_decay=0.05, seed=41, cooldown=0.6, average=0.98
)
KIND_NAMES = (*KINDS, NONE)
COLOUR_NAMES = (*COLOURS, NONE)
_PASSES = 5  # of blur: the autoencoder loses what is finer than two or three pixels
_ARCHITECTURE = "resnet10t"
_ARGUMENTS = {
    "channels": [32, 64, 96, 128], "stem_width": 16, "norm_layer": "groupnorm1",
    "num_classes": len(KIND_NAMES) + len(COLOUR_NAMES),
}  # fmt: skip


def build() -> ResNet:
    """A fresh classifier."""
    torch.manual_seed(RECIPE.seed)
    return timm.create_model(_ARCHITECTURE, **_ARGUMENTS)


def loss(judge: ResNet, pool: Pool, *, indices: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy of kind and colour: three crops in four at a thing, the others at ground."""
    scenes = [pool.scenes[i] for i in indices.tolist()]
    images = pool.pictures(indices)
    places = torch.zeros(len(scenes), 3)
    kinds = torch.full((len(scenes),), len(KINDS))
    colours = torch.full((len(scenes),), len(COLOURS))
    for row, scene in enumerate(scenes):
        if scene.things and _chance(0.75, generator):
            thing = scene.things[int(torch.randint(len(scene.things), (), generator=generator))]
            places[row] = _around(thing.box, generator)
            kinds[row] = KIND_NAMES.index(thing.kind)
            colours[row] = COLOUR_NAMES.index(thing.colour)
        else:
            places[row] = _ground(scene, generator)
            other = (row + 1) % len(scenes)
            if _chance(1 / 3, generator) and _clear(scenes[other], places[row]):
                _patch(images[row], images[other], places[row], generator)
    images = degrade(images, generator=generator, passes=_PASSES)
    at = home(judge)
    logits = judge((crops(images, places) * 2 - 1).to(at))
    kind, colour = logits.split([len(KIND_NAMES), len(COLOUR_NAMES)], dim=1)
    return F.cross_entropy(kind, kinds.to(at)) + F.cross_entropy(colour, colours.to(at))


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _around(box: Box, generator: torch.Generator) -> Tensor:
    """A square about a thing: centre and side are off by up to a tenth and 30%."""
    x, y, side = squares([box])[0].tolist()
    shift_x, shift_y, scale = torch.rand(3, generator=generator).tolist()
    return torch.tensor(
        [
            x + side * (shift_x - 0.5) * 0.2,
            y + side * (shift_y - 0.5) * 0.2,
            side * (0.8 + 0.5 * scale),
        ]
    )


def _ground(scene: Scene, generator: torch.Generator) -> Tensor:
    """A square with no thing in it, or at most a corner of one; sides as those about things."""
    place = torch.zeros(3)
    for _ in range(30):
        x, y, side = torch.rand(3, generator=generator).tolist()
        place = torch.tensor([8 + 48 * x, 8 + 48 * y, 18 + 24 * side])
        if _clear(scene, place):
            return place
    return torch.tensor([*place[:2].tolist(), 6.0])  # a crowded scene: a glimpse


def _clear(scene: Scene, place: Tensor) -> bool:
    """Whether the square covers less than a tenth of each thing's box."""
    x, y, side = place.tolist()
    for box in (thing.box for thing in scene.things):
        wide = min(box.right, x + side / 2) - max(box.left, x - side / 2)
        high = min(box.bottom, y + side / 2) - max(box.top, y - side / 2)
        if wide > 0 and high > 0 and wide * high > 0.1 * box.area:
            return False
    return True


def _patch(image: Tensor, other: Tensor, place: Tensor, generator: torch.Generator) -> None:
    """Blend the middle of the square with another ground, as a clumsy removal leaves it."""
    x, y, side = place.tolist()
    half = side * (0.25 + 0.2 * float(torch.rand((), generator=generator)))
    rows = slice(max(0, round(y - half)), min(SIDE, round(y + half)))
    columns = slice(max(0, round(x - half)), min(SIDE, round(x + half)))
    amount = float(torch.rand((), generator=generator))
    image[:, rows, columns] = image[:, rows, columns].lerp(other[:, rows, columns], amount)


@torch.no_grad()
def measure(judge: ResNet, pool: Pool, *, count: int = 512) -> dict[str, float]:
    """Share of things whose kind and colour are found, and of empty squares called none."""
    generator = torch.Generator().manual_seed(0)
    frozen = Judge(judge, kinds=KIND_NAMES, colours=COLOUR_NAMES)
    things = [(i, t) for i in range(min(count, len(pool))) for t in pool.scenes[i].things]
    found = frozen.kinds_and_colours(
        pool.pictures([i for i, _ in things]), [thing.box for _, thing in things]
    )
    empty = [(i, _ground(pool.scenes[i], generator)) for i in range(min(count, len(pool)))]
    empty = [(i, place) for i, place in empty if place[2] > 6]
    logits = judge(
        crops(pool.pictures([i for i, _ in empty]), torch.stack([p for _, p in empty])) * 2 - 1
    )
    none = logits[:, : len(KIND_NAMES)].argmax(1) == len(KINDS)
    judge.requires_grad_(True)
    return {
        "kind": _share(kind == t.kind for (kind, _), (_, t) in zip(found, things, strict=True)),
        "colour": _share(
            colour == t.colour for (_, colour), (_, t) in zip(found, things, strict=True)
        ),
        "none": float(none.float().mean()),
    }


def _share(right: Iterable[bool]) -> float:
    marks = list(right)
    return sum(marks) / max(1, len(marks))


def export(judge: ResNet, folder: Path) -> None:
    """Write a timm folder: config, half-precision weights, and the words of the logits."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": _ARCHITECTURE,
        "num_classes": _ARGUMENTS["num_classes"],
        "num_features": judge.num_features,
        "model_args": _ARGUMENTS,
        "pretrained_cfg": {
            "input_size": [3, CROP, CROP], "mean": [0.5] * 3, "std": [0.5] * 3,
            "interpolation": "bilinear", "crop_pct": 1.0, "num_classes": _ARGUMENTS["num_classes"],
            "first_conv": "conv1.0", "classifier": "fc",
        },
    }  # fmt: skip
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    labels = {"kinds": KIND_NAMES, "colours": COLOUR_NAMES}
    write_text(folder / "labels.json", json.dumps(labels, indent=2) + "\n")
    state = {key: value.half().contiguous() for key, value in judge.state_dict().items()}
    save_file(state, folder / "model.safetensors")
