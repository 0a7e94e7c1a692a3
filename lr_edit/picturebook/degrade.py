"""Pictures a little worse than drawn: what small models must not be thrown by.

Edited pictures have been through an autoencoder; networks that score and judge learn on drawn ones.
Half of every training batch is therefore blurred, shifted in colour and noised, each picture by its
own amount.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_KERNEL = torch.tensor([1.0, 2.0, 1.0])


def blur(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """A 3x3 binomial blur, edges repeated."""
    channels = images.shape[1]
    kernel = (_KERNEL[:, None] * _KERNEL / 16).expand(channels, 1, 3, 3).to(images)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)


def degrade(
    images: Float[Tensor, "n 3 h w"], *, generator: torch.Generator, passes: int = 1
) -> Float[Tensor, "n 3 h w"]:
    """Half of the pictures blurred (by up to so many passes), shifted and noised (up to 0.04)."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    count = images.shape[0]
    amount = (draw(count, 1, 1, 1) < 0.5) * draw(count, 1, 1, 1)
    soft = images
    for _ in range(passes):
        soft = soft.lerp(blur(soft), amount)
    shift = (draw(count, 3, 1, 1) - 0.5) * 0.08 * (amount > 0)
    noise = torch.randn(images.shape, generator=generator) * 0.04 * amount * draw(count, 1, 1, 1)
    return (soft + shift + noise).clamp(0, 1)


def mirror(images: Float[Tensor, "n c h w"], *, generator: torch.Generator) -> Tensor:
    """Half of the pictures left to right; their words stay true."""
    turn = torch.rand(images.shape[0], generator=generator) < 0.5
    return torch.where(turn[:, None, None, None], images.flip(3), images)
