"""The one image convention, held at every frozen model's door."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def check_images(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """The same images; raises ValueError unless they are float RGB (N, 3, H, W) in [0, 1]."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"images are float RGB (N, 3, H, W), got {images.dtype} of shape {tuple(images.shape)}"
        )
    low, high = (float(v) for v in images.aminmax()) if images.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ValueError(f"images lie in [0, 1], got values from {low:.3g} to {high:.3g}")
    return images


def resize_to_side(image: UInt8[Tensor, "3 h w"], *, side: int) -> Float[Tensor, "1 3 side side"]:
    """One picture as models take it, at `side` pixels (bicubic where that is another)."""
    picture = image[None].float() / 255
    if image.shape[-2:] == (side, side):
        return picture
    return torch.nn.functional.interpolate(
        picture, (side, side), mode="bicubic", antialias=True
    ).clamp(0, 1)
