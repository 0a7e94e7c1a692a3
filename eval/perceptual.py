"""LPIPS of a region: images in, a network called as `net(a, b)` passed in, one float an image out.

The network expects -1..1 (0..1 fed unscaled is 3 to 14 times too small): scaling is done here. For
the background, the source is composited into the edited region first, and the other way round, so
that both images agree outside the region. A source that stands for all edits is passed as one row,
which `lpips.LPIPS` broadcasts. An empty region is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eval.masks import Protocol, Region, compared


@torch.no_grad()
def lpips_distance(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    *,
    net: Callable[[Tensor, Tensor], Tensor],
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Distance by `net`, an `lpips.LPIPS` or anything called like one."""
    sources, inside = compared(source, edited, mask, region=region, protocol=protocol)
    pasted = torch.where(inside, edited, sources)
    distance = net(2 * source - 1, 2 * pasted - 1).reshape(-1)  # (N, 1, 1, 1) -> (N,)
    empty = ~inside.flatten(1).any(1)
    return distance.double().masked_fill(empty.to(distance.device), torch.nan)
