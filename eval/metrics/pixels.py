"""Mean squared error and PSNR over a region's pixels alone; images in, one float64 an image out.

Range 0..1. Under `pie-bench` the mean runs over the whole frame of the zero-filled pair, so that a
region's PSNR is 10 log10(frame/region) higher than under `strict`. An empty region is NaN;
identical pixels have a PSNR of inf, which is kept: means are taken over finite values and the
infinite ones are counted (statistics.py).
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eval.metrics import pie_bench
from eval.metrics.regions import Protocol, Region, channel_mean, check_pair


def mean_squared_error(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Mean squared error over a region's pixels (pie-bench: over the frame) and channels.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W), True where edited; may be left out where the region is `whole`.
        region: `background`, `edited` or `whole`.
        protocol: `strict`, or `pie-bench` as published tables were measured.

    Returns:
        (N,) float64 in 0..1; NaN where the region is empty.

    Raises:
        ValueError: other ranges or sizes, no mask where the region needs one.

    Source: `pie-bench`: PnPInversion's calculator (Ju et al. 2024).

    Example:
        >>> import torch
        >>> source = torch.zeros(1, 3, 2, 2)
        >>> mean_squared_error(source, source + 0.5, region="whole")
        tensor([0.2500], dtype=torch.float64)
    """
    source, inside = check_pair(source, edited, mask=mask, region=region, protocol=protocol)
    if protocol == "pie-bench":
        return pie_bench.mean_squared_error(source, edited, inside=inside)
    return mean_in_region(squared_error(source, edited), inside)


def squared_error(
    source: Float[Tensor, "n 3 h w"], edited: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n 1 h w"]:
    """Of every pixel, the mean over its channels, in float64."""
    return channel_mean((source.double() - edited.double()).square())


def mean_in_region(
    error: Float[Tensor, "n 1 h w"], inside: Bool[Tensor, "n 1 h w"]
) -> Float[Tensor, " n"]:
    """NaN where the region is empty."""
    return (error * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))


def peak_signal_noise_ratio(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio, -10 log10(MSE), peak 1.

    Args:
        source, edited, mask, region, protocol: as `mean_squared_error` takes them.

    Returns:
        (N,) float64 in decibels; inf where the pixels are equal, NaN where the region is empty.

    Raises:
        ValueError: as `mean_squared_error`.

    Source: `pie-bench`: PnPInversion's calculator (Ju et al. 2024).

    Example:
        >>> import torch
        >>> source = torch.zeros(1, 3, 2, 2)
        >>> peak_signal_noise_ratio(source, source + 0.1, region="whole")
        tensor([20.0000], dtype=torch.float64)
    """
    return in_decibels(
        mean_squared_error(source, edited, mask=mask, region=region, protocol=protocol)
    )


def in_decibels(error: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The PSNR of a mean squared error."""
    return -10 * error.log10()
