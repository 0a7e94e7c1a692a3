"""Mean squared error and PSNR over a region's pixels alone; images in, one float64 an image out.

Range 0..1. Under `pie-bench` the mean runs over the whole frame of the zero-filled pair, so that a
region's PSNR is 10 log10(frame/region) higher than under `strict`. An empty region is NaN;
identical pixels have a PSNR of inf, which is kept: means are taken over finite values and the
infinite ones are counted (statistics.py).
"""

from __future__ import annotations

from jaxtyping import Float, Shaped
from torch import Tensor

from eval.metrics import pie_bench
from eval.metrics.regions import Protocol, Region, check_pair


def mean_squared_error(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Mean over the region's pixels (pie-bench: the frame's) and the three channels."""
    source, inside = check_pair(source, edited, mask=mask, region=region, protocol=protocol)
    if protocol == "pie-bench":
        return pie_bench.mean_squared_error(source, edited, inside=inside)
    error = (source.double() - edited.double()).square().mean(1, keepdim=True)  # (N, 1, H, W)
    return (error * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))


def peak_signal_noise_ratio(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """-10 log10(MSE) in decibels, peak 1."""
    error = mean_squared_error(source, edited, mask=mask, region=region, protocol=protocol)
    return -10 * error.log10()
