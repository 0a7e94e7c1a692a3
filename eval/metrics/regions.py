"""Which pixels a metric reads: images and a mask in, the region's pixels out.

Enter: float RGB images (N, 3, H, W) in [0, 1] and masks (N, 1, H, W), True = edited, of the same
size; one image or mask may stand for all N. Leave: a bool map of the pixels that count. Nothing is
resized, and a mask is 0/1, bool or 0/255 and nothing else. Raises ValueError otherwise.

`strict` measures the region's pixels alone; `pie-bench` repeats what published tables were made
with (pie_bench.py says how).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

Region = Literal["background", "edited", "whole"]
Protocol = Literal["strict", "pie-bench"]


def as_mask(mask: Shaped[Tensor, "n 1 h w"]) -> Bool[Tensor, "n 1 h w"]:
    """A mask as bool, from bool, 0/1 or 0/255.

    Raises:
        ValueError: Any other value: a soft mask has no one meaning.

    Example:
        >>> as_mask(torch.tensor([[[[0, 255]]]]))
        tensor([[[[False,  True]]]])
    """
    if mask.dtype == torch.bool:
        return mask
    if not (((mask == 0) | (mask == 1)).all() or ((mask == 0) | (mask == 255)).all()):
        raise ValueError("a mask holds 0 and 1, or 0 and 255, and nothing between")
    return mask != 0


def check_images(images: Float[Tensor, "n 3 h w"]) -> None:
    """ValueError unless float RGB (N, 3, H, W) in [0, 1]."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(f"images are float RGB (N, 3, H, W), got {tuple(images.shape)}")
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):  # refuses NaN too
        raise ValueError("images lie in [0, 1]: divide 8-bit values by 255")


def check_protocol(protocol: str) -> None:
    """ValueError for a protocol that does not exist."""
    if protocol not in get_args(Protocol):
        raise ValueError(f"unknown protocol {protocol!r}; known: {', '.join(get_args(Protocol))}")


def region_pixels(
    images: Float[Tensor, "n 3 h w"],
    mask: Shaped[Tensor, "#n 1 rows cols"] | None,
    *,
    region: Region,
) -> Bool[Tensor, "n 1 h w"]:
    """Which pixels of images a metric reads.

    Args:
        images: (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W) or one for all, True where the picture was to change; only the region
            "whole" does without.
        region: "background", "edited" or "whole".

    Returns:
        (N, 1, H, W), True where the region is.

    Raises:
        ValueError: Images, mask or region that cannot be, or a mask of another size.

    Example:
        >>> mask = torch.tensor([[[[True, False]]]])
        >>> region_pixels(torch.zeros(1, 3, 1, 2), mask, region="background")
        tensor([[[[False,  True]]]])
    """
    check_images(images)
    if region not in get_args(Region):
        raise ValueError(f"unknown region {region!r}; known: {', '.join(get_args(Region))}")
    n, _, height, width = images.shape
    if region == "whole":
        return torch.ones(n, 1, height, width, dtype=torch.bool, device=images.device)
    if mask is None:
        raise ValueError(f"the region {region!r} needs a mask; region='whole' does without")
    if mask.ndim != 4 or mask.shape[1] != 1 or len(mask) not in (1, n):
        raise ValueError(f"masks are (1 or {n}, 1, H, W), got {tuple(mask.shape)}")
    if mask.shape[2:] != images.shape[2:]:
        raise ValueError(
            f"mask {tuple(mask.shape[2:])} and image {tuple(images.shape[2:])} differ in size"
        )
    edited = as_mask(mask).expand(n, -1, -1, -1)
    return edited if region == "edited" else ~edited


def missing_where_empty(
    values: Float[Tensor, " n"], inside: Bool[Tensor, "n 1 h w"]
) -> Float[Tensor, " n"]:
    """The values in float64, NaN for every image whose region holds no pixel."""
    empty = ~inside.flatten(1).any(1)
    return values.double().masked_fill(empty.to(values.device), torch.nan)


def channel_mean(values: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
    """The mean over the three channels: torch's own along so short an axis takes ten times as long.

    Example:
        >>> channel_mean(torch.tensor([[[[1.0]], [[2.0]], [[6.0]]]]))
        tensor([[[[3.]]]])
    """
    return (values[:, :1] + values[:, 1:2] + values[:, 2:]) / 3


def check_pair(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None,
    region: Region,
    protocol: str,
) -> tuple[Float[Tensor, "n 3 h w"], Bool[Tensor, "n 1 h w"]]:
    """Every edit's source, and the pixels on which the two are compared."""
    check_protocol(protocol)
    check_images(source)
    if source.shape[2:] != edited.shape[2:]:
        raise ValueError(
            f"source {tuple(source.shape[2:])} and edit {tuple(edited.shape[2:])} differ in size"
        )
    if len(source) not in (1, len(edited)):
        raise ValueError(
            f"{len(source)} sources for {len(edited)} edits: give one, or one for each"
        )
    return source.expand_as(edited), region_pixels(edited, mask, region=region)
