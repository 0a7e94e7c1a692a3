"""Where did it change? Any editor's result against the mask of where it was to change.

    hit        share of the mask that changed
    miss       share of the mask that did not
    leak       share of the rest that changed
    leak_size  how much the rest changed: its mean difference, without a threshold
    auc        the difference as a detector of the mask: 1 if every pixel inside changed more than
               every pixel outside, 0.5 if it tells nothing

A pixel's difference is the mean over channels of its absolute difference, after the median
difference of luminance outside the mask is taken out: an autoencoder that shifts the light a little
has not edited the picture. A pixel has changed where that is above `threshold`.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eval.metrics.regions import channel_mean, check_images, check_pair

Aspect = Literal["hit", "miss", "leak", "leak_size", "auc"]
THRESHOLD = 0.1
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec. 709


def pixel_difference(
    source: Float[Tensor, "n 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Bool[Tensor, "n 1 h w"] | None = None,
) -> Float[Tensor, "n h w"]:
    """Mean absolute difference of every pixel, the median shift of luminance taken out.

    Args:
        source: (N, 3, H, W) in [0, 1].
        edited: (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W), True where it was to change: the shift is that of the rest, none where
            that is empty; default: of the whole frame.

    Returns:
        (N, H, W) float64.

    Raises:
        ValueError: other ranges, or shapes that differ.

    Example:
        >>> import torch
        >>> source = torch.full((1, 3, 2, 2), 0.5)
        >>> pixel_difference(source, source + 0.25).max()  # lighter everywhere: nothing changed
        tensor(0., dtype=torch.float64)
    """
    for images in (source, edited):
        check_images(images)
    if source.shape != edited.shape:
        raise ValueError(f"source {tuple(source.shape)} and edit {tuple(edited.shape)} differ")
    return difference_of(edited.double() - source.double(), mask=mask)


def difference_of(
    gap: Float[Tensor, "n 3 h w"], *, mask: Bool[Tensor, "n 1 h w"] | None = None
) -> Float[Tensor, "n h w"]:
    """`pixel_difference` of what an edit added to its source, in float64."""
    red, green, blue = (weight * gap[:, at] for at, weight in enumerate(_LUMINANCE))
    lighter = (red + green + blue).cpu().numpy()
    rest = np.ones(lighter.shape, bool) if mask is None else ~mask[:, 0].cpu().numpy()
    shifts = [_median(one[where]) for one, where in zip(lighter, rest, strict=True)]
    shift = torch.tensor(shifts, dtype=gap.dtype, device=gap.device)
    return channel_mean((gap - shift.view(-1, 1, 1, 1)).abs_())[:, 0]


def _median(values: np.ndarray) -> float:
    """As torch's, the lower of two, in a third of its time; 0 of nothing."""
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle]) if len(values) else 0.0


def where_changed(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"],
    aspect: Aspect,
    threshold: float = THRESHOLD,
) -> Float[Tensor, " n"]:
    """One aspect of where an edit changed its source: how often, or how much, pixels differ by more
    than the rest of the picture became lighter or darker.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W), True where it was to change.
        aspect: `hit`, `miss`, `leak`, `leak_size` or `auc`.
        threshold: of a changed pixel's difference, in 0..1; `leak_size` and `auc` have none.

    Returns:
        (N,) float64 in 0..1; NaN where the mask (for `leak`, the rest; for `auc`, either) is empty.

    Raises:
        ValueError: other ranges or sizes, an unknown aspect.

    Example:
        >>> import torch
        >>> source, mask = torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
        >>> mask[..., :2, :2] = True
        >>> edited = torch.where(mask, torch.ones(()), source)
        >>> where_changed(source, edited, mask=mask, aspect="hit")
        tensor([1.], dtype=torch.float64)
    """
    check_aspect(aspect, threshold)
    source, pixels = check_pair(source, edited, mask=mask, region="edited", protocol="strict")
    difference = difference_of(edited.double() - source.double(), mask=pixels)
    return judge_change(difference, pixels[:, 0], aspect=aspect, threshold=threshold)


def judge_change(
    difference: Float[Tensor, "n h w"], inside: Bool[Tensor, "n h w"], *, aspect: Aspect,
    threshold: float = THRESHOLD,
) -> Float[Tensor, " n"]:  # fmt: skip
    """One aspect of `pixel_difference`, as `where_changed` gives it; ValueError as it has them."""
    check_aspect(aspect, threshold)
    if inside.shape != difference.shape:
        raise ValueError(f"masks {tuple(inside.shape)} of differences {tuple(difference.shape)}")
    if aspect == "auc":
        return torch.stack(
            [_auc(one, where) for one, where in zip(difference, inside, strict=True)]
        )
    if aspect == "leak_size":
        return _mean(difference, ~inside)
    where = ~inside if aspect == "leak" else inside
    changed = ((difference > threshold) & where).sum((1, 2)).double() / where.sum((1, 2))
    return 1 - changed if aspect == "miss" else changed


def check_aspect(aspect: str, threshold: float = THRESHOLD) -> None:
    """ValueError for an aspect that is none, or a threshold outside [0, 1]."""
    if aspect not in get_args(Aspect):
        raise ValueError(f"unknown aspect {aspect!r}; known: {', '.join(get_args(Aspect))}")
    if not 0 <= threshold <= 1:  # refuses NaN too
        raise ValueError(f"a threshold lies in [0, 1], got {threshold}")


def _mean(
    values: Float[Tensor, "n h w"], where: Bool[Tensor, "n h w"]
) -> Float[Tensor, " n"]:  # fmt: skip
    return (values * where).sum((1, 2)) / where.sum((1, 2))


def _auc(difference: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"]) -> Float[Tensor, ""]:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted half."""
    values, here = difference.cpu().numpy(), inside.cpu().numpy()
    positive, negative = np.sort(values[here]), np.sort(values[~here])
    below, upto = (np.searchsorted(negative, positive, side) for side in ("left", "right"))
    pairs = len(positive) * len(negative)
    share = (below.sum() + upto.sum()) / (2 * pairs) if pairs else np.nan
    return torch.tensor(share, dtype=torch.float64, device=difference.device)
