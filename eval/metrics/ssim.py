"""Structural similarity over the pixels whose whole window lies inside a region and the frame.

Wang et al. 2004: Gaussian window 11x11 of sigma 1.5, population covariance, data range 1, K1 0.01,
K2 0.03; three channels averaged. Equals scikit-image (`gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=1`) where the region is everything. No such pixel: NaN.

Under `pie-bench` the zero-filled pair is padded by reflection and every pixel of the frame counts.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from eval.metrics import pie_bench
from eval.metrics.regions import Protocol, Region, check_pair, missing_where_empty

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2


def structural_similarity(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Mean SSIM, one value per image. Too small an image for any window is NaN."""
    sources, inside = check_pair(source, edited, mask=mask, region=region, protocol=protocol)
    if protocol == "pie-bench":
        if min(edited.shape[2:]) <= WINDOW // 2:  # nothing to reflect
            return torch.full_like(edited[:, 0, 0, 0], torch.nan, dtype=torch.float64)
        pair = pie_bench.reflect_background(sources, edited, inside=inside, margin=WINDOW // 2)
        return missing_where_empty(_similarity(*pair).mean((1, 2, 3)), inside)
    if min(edited.shape[2:]) < WINDOW:
        return torch.full((len(edited),), torch.nan, dtype=torch.float64, device=edited.device)
    similarity = _similarity(source.double(), edited.double()).mean(1, keepdim=True)
    whole = _whole_windows(inside)
    return (similarity * whole).sum((1, 2, 3)) / whole.sum((1, 2, 3))


def _similarity(
    x: Float[Tensor, "#n 3 h w"], y: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n 3 rows cols"]:
    """Eq. 13 of Wang et al. at every pixel whose window lies in the frame; one x for many y."""
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    upper = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    return upper / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))


def _blur(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 rows cols"]:
    """The Gaussian mean of every whole window."""
    at = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    line = torch.exp(-0.5 * (at / SIGMA) ** 2)
    line = (line / line.sum()).expand(3, 1, 1, -1)
    return F.conv2d(F.conv2d(images, line, groups=3), line.mT, groups=3)


def _whole_windows(inside: Bool[Tensor, "n 1 h w"]) -> Bool[Tensor, "n 1 rows cols"]:
    """True where no pixel of the window lies outside the region."""
    return F.max_pool2d((~inside).float(), WINDOW, stride=1) == 0
