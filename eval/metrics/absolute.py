"""L1: the mean absolute difference of two pictures' values; images in, one float64 an image out.

MagicBrush's script compares the edit with the *target* (Zhang et al. 2023, evaluation/
image_eval.py), Emu Edit with the source (Sheynin et al. 2024, section 5).
"""

from __future__ import annotations

from jaxtyping import Float, Shaped
from torch import Tensor

from eval.metrics.regions import Region, channel_mean, check_pair


def mean_absolute_error(
    first: Float[Tensor, "#n 3 rows cols"],
    second: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "whole",
) -> Float[Tensor, " n"]:
    """Mean absolute difference over a region's pixels and the three channels.

    Args:
        first: source or target, (N, 3, H, W) in [0, 1]; one may stand for all.
        second: edits, (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W), True where edited; `whole` needs none.
        region: `whole`, `background` or `edited`.

    Returns:
        (N,) float64 in 0..1; NaN for an empty region.

    Raises:
        ValueError: other ranges, sizes that differ, a region without a mask.

    Source:
        https://github.com/OSU-NLP-Group/MagicBrush, `eval_distance` with "l1".

    Example:
        >>> import torch
        >>> mean_absolute_error(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.25))
        tensor([0.2500], dtype=torch.float64)
    """
    first, inside = check_pair(first, second, mask=mask, region=region, protocol="strict")
    error = channel_mean((first.double() - second.double()).abs())
    return (error * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
