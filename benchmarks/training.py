"""AnchorNet's training, one net per image: seconds and memory, on the CPU and on a GPU.

Features and losses are random: speed does not depend on their values. What is timed is the editor's
own function, from features and boxes to probabilities, RoI pooling included.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from benchmarks.timing import peak, reset_peak, seconds_of
from lr_edit import method
from lr_edit.boxes import square_boxes
from lr_edit.config import Config
from lr_edit.types import Bank
from lr_edit.variant import Variant

TOGETHER = 64  # images whose nets are trained at once on a GPU


@dataclass(frozen=True)
class Features:
    """AnchorNet's input for an image of `side` pixels: so many channels at cells x cells."""

    name: str
    channels: int
    cells: int
    side: int


KINDS = (
    Features("picture book", channels=128, cells=16, side=64),
    Features("DINO ViT-B/8", channels=768, cells=32, side=512),
)


@dataclass(frozen=True)
class TrainingRow:
    """Training the nets of `images` images: seconds of all, bytes above what was held before."""

    features: str
    channels: int
    cells: int
    boxes: int
    steps: int
    images: int
    seconds: float
    peak_bytes: int


def measure_training(
    config: Config, features: Features, *, images: int, device: str, repeats: int = 3
) -> TrainingRow:
    """The nets of so many images, in one call; a call of two steps has warmed up."""
    variant = next(row for row in config.variants.values() if row.learner == "exact")
    banks = [_draw_bank(config, features, seed=seed) for seed in range(images)]
    _train(banks, variant.model_copy(update={"steps": 2}), features.side, device)
    before = reset_peak(device)
    took = [
        seconds_of(lambda: _train(banks, variant, features.side, device)) for _ in range(repeats)
    ]
    return TrainingRow(
        features=features.name, channels=features.channels, cells=features.cells,
        boxes=banks[0].losses[..., 0].size, steps=variant.steps, images=images,
        seconds=median(took), peak_bytes=peak(device) - before,
    )  # fmt: skip


def _train(banks: list[Bank], variant: Variant, side: int, device: str) -> None:
    names = [str(index) for index in range(len(banks))]
    list(method.learn_sizes(names, banks, variant=variant, side=side, seed=0, device=device))


def _draw_bank(config: Config, features: Features, *, seed: int) -> Bank:
    """Random features and losses of the boxes about random cells."""
    rng, propose = np.random.default_rng(seed), config.propose
    cells = features.cells
    anchors = np.stack(np.divmod(rng.choice(cells**2, propose.points, replace=False), cells), -1)
    boxes = square_boxes(
        torch.from_numpy(anchors), grid=(cells, cells), side=features.side,
        sizes=propose.sizes, cell=config.models.cell,
    )  # fmt: skip
    shape = boxes.shape[:2]
    return Bank(
        boxes=boxes.numpy(), losses=rng.random((*shape, 3)), cosines=rng.random((*shape, 2)),
        anchors=anchors, attention=rng.random((cells, cells)),
        features=rng.standard_normal((features.channels, cells, cells), np.float32),
        relevance=rng.random((cells, cells)), nfe=0,
    )  # fmt: skip
