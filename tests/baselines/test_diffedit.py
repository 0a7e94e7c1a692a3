"""Where noise predictions differ under two texts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lr_edit.baselines.diffedit import noise_difference
from tests.fakes import FakeInpainter, drawn

SIDE = 16


class Attentive(FakeInpainter):
    """Predicts the noise it is given, and something else at one place for some words."""

    def predict(self, image: Tensor, prompt: str, *, noise: Tensor, strength: float) -> Tensor:
        self.nfe += len(noise)
        self.noises.append(noise)
        found = noise.clone()
        found[:, :, 3, 9] += len(prompt) * torch.arange(len(noise))[:, None]
        return found


def test_the_place_where_the_texts_disagree_stands_out_and_is_paid_for() -> None:
    inpainter = Attentive()
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    found = noise_difference(inpainter, image, source="a cup", prompt="a red cup", seed=0)
    expected = np.zeros((SIDE, SIDE))
    expected[3, 9] = np.mean(4 * np.arange(10))  # four letters more, the mean over ten noises
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert inpainter.nfe == 20
    first, second = inpainter.noises
    assert torch.equal(first, second) and len(first.unique(dim=0)) == 10


def test_the_map_follows_from_its_seed() -> None:
    image = drawn(0, 1, 3, SIDE, SIDE).sigmoid()
    maps = [
        noise_difference(FakeInpainter(), image, source="a", prompt="b", seed=seed)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(maps[0], maps[1]) and not torch.equal(maps[0], maps[2])
