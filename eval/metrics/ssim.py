"""Structural similarity over the pixels whose whole window lies inside a region and the frame.

Wang et al. 2004: Gaussian window 11x11 of sigma 1.5, population covariance, data range 1, K1 0.01,
K2 0.03; three channels averaged. Equals scikit-image (`gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=1`) where the region is everything. No such pixel: NaN.

Under `pie-bench` the zero-filled pair is padded by reflection and every pixel of the frame counts.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from eval.metrics import pie_bench
from eval.metrics.regions import Protocol, Region, channel_mean, check_pair, missing_where_empty

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2
BAND, TILE = 16, 32  # rows and columns of windows that one product blurs
MANY = 8  # tiles; fewer, multiplied at once, have other last bits than tables that were published


def structural_similarity(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Mean SSIM of a region, one value per image.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W), True where edited; may be left out where the region is `whole`.
        region: `background`, `edited` or `whole`.
        protocol: `strict`, or `pie-bench` as published tables were measured.

    Returns:
        (N,) float64, at most 1; NaN where no window of 11x11 lies in the region.

    Raises:
        ValueError: other ranges or sizes, no mask where the region needs one.

    Source: Wang et al. 2004, Eq. 13; `pie-bench`: PnPInversion's calculator.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 3, 16, 16)
        >>> structural_similarity(image, image, region="whole")
        tensor([1.], dtype=torch.float64)
    """
    sources, inside = check_pair(source, edited, mask=mask, region=region, protocol=protocol)
    if protocol == "pie-bench":
        if min(edited.shape[2:]) <= WINDOW // 2:  # nothing to reflect
            return torch.full_like(edited[:, 0, 0, 0], torch.nan, dtype=torch.float64)
        pair = pie_bench.reflect_background(sources, edited, inside=inside, margin=WINDOW // 2)
        return missing_where_empty(_similarity(*pair).mean((1, 2, 3)), inside)
    return mean_similarity(similarity_map(source, edited), inside)


def similarity_map(
    source: Float[Tensor, "#n 3 h w"], edited: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n 1 rows cols"]:
    """SSIM of every window that lies in the frame, the channels averaged; none in a small one."""
    if min(edited.shape[2:]) < WINDOW:
        return edited.new_empty((len(edited), 1, 0, 0), dtype=torch.float64)
    return channel_mean(_similarity(source.double(), edited.double()))


def mean_similarity(
    similarity: Float[Tensor, "n 1 rows cols"], inside: Bool[Tensor, "n 1 h w"]
) -> Float[Tensor, " n"]:
    """The mean over the windows that lie in a region; NaN without any."""
    if not similarity.numel():
        return torch.full((len(inside),), torch.nan, dtype=torch.float64, device=inside.device)
    whole = _whole_windows(inside)
    return (similarity * whole).sum((1, 2, 3)) / whole.sum((1, 2, 3))


def _similarity(
    x: Float[Tensor, "#n 3 h w"], y: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n 3 rows cols"]:
    """Eq. 13 of Wang et al. at every pixel whose window lies in the frame; one x for many y.

    A band of rows at a time, which stays in the processor's cache.
    """
    x = x.expand_as(y)
    tops = range(0, y.shape[2] - WINDOW + 1, BAND)
    bands = (slice(top, top + BAND + WINDOW - 1) for top in tops)
    return torch.cat([_band_similarity(x[:, :, at], y[:, :, at]) for at in bands], dim=2)


def _band_similarity(
    x: Float[Tensor, "n 3 h w"], y: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n 3 rows cols"]:
    """var x + var y and the covariance are what the windows of x^2 + y^2 and x y give."""
    mean_x, mean_y, products, squares = _blur(torch.cat([x, y, x * y, x * x + y * y], 1)).chunk(
        4, dim=1
    )
    product, square = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    upper = (2 * product + C1) * (2 * (products - product) + C2)
    return upper / ((square + C1) * (squares - square + C2))


def _blur(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c rows cols"]:
    """The Gaussian mean of every whole window: products with a banded matrix, along columns and
    then along tiles of rows, several times as fast as a depthwise convolution of doubles."""
    how = images.dtype, images.device
    down = _banded(images.shape[2] - WINDOW + 1, *how).mT @ images
    cols = images.shape[3] - WINDOW + 1
    tiles = F.pad(down, (0, -cols % TILE)).unfold(3, TILE + WINDOW - 1, TILE)
    if tiles.shape[3] >= MANY:  # one product, of a copy, in half the time
        tiles = tiles.contiguous()
    return (tiles @ _banded(TILE, *how)).flatten(3)[..., :cols]


@lru_cache(maxsize=8)
def _banded(
    count: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "inputs windows"]:
    """What multiplies a line of pixels to give the Gaussian means of its `count` windows."""
    at = torch.arange(WINDOW, dtype=dtype, device=device) - WINDOW // 2
    line = torch.exp(-0.5 * (at / SIGMA) ** 2)
    band = torch.zeros(count + WINDOW - 1, count, dtype=dtype, device=device)
    for n, weight in enumerate(line / line.sum()):
        band.diagonal(-n)[:count].fill_(weight.item())
    return band


def _whole_windows(inside: Bool[Tensor, "n 1 h w"]) -> Bool[Tensor, "n 1 rows cols"]:
    """True where no pixel of the window lies outside the region."""
    if inside.all():
        rows, cols = (side - WINDOW + 1 for side in inside.shape[2:])
        return inside[..., :rows, :cols]
    outside = F.pad(~inside, (1, 0, 1, 0)).cumsum(2, dtype=torch.int32)  # of all rows above
    outside = (outside[:, :, WINDOW:] - outside[:, :, :-WINDOW]).cumsum(3)
    return outside[..., WINDOW:] == outside[..., :-WINDOW]
