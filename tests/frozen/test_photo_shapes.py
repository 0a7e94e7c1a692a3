"""An inpainter and an anchor model take a photo in its own shape."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lr_edit.frozen.dino import load_dino
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.types import Sampler
from tests.fakes import drawn

SIDE = 64
SHAPES = pytest.mark.parametrize(("high", "wide"), [(SIDE, SIDE // 2), (SIDE // 4, SIDE)])


@SHAPES
def test_a_unet_inpaints_it(tiny_models: Path, high: int, wide: int) -> None:
    inpainter = load_inpainter(f"local-dir:{tiny_models / 'inpainter'}")
    mask = torch.zeros(1, 1, high, wide, dtype=torch.bool)
    mask[..., :16, :16] = True
    noise = inpainter.noise(SIDE, 0)
    rows, cols = noise.shape[2] * high // SIDE, noise.shape[3] * wide // SIDE
    made = inpainter.inpaint(
        drawn(0, 1, 3, high, wide).sigmoid(), "a fish", masks=mask,
        noise=noise[..., :rows, :cols], sampler=Sampler(steps=2, guidance=3.0, guided=1.0),
    )  # fmt: skip
    assert made.shape == (1, 3, high, wide) and made.isfinite().all()


@SHAPES
def test_an_anchor_model_attends_to_it(tiny_models: Path, high: int, wide: int) -> None:
    anchors = load_dino(f"local-dir:{tiny_models / 'anchors'}")
    image = drawn(0, 1, 3, high, wide).sigmoid()
    grid = (high // anchors.patch[0], wide // anchors.patch[1])
    assert anchors.attention(image).shape[1:] == grid == anchors.features(image).shape[2:]
