"""LPIPS of a region: images in, a network called as `net(a, b)` passed in, one float an image out.

The network expects -1..1 (0..1 fed unscaled is 3 to 14 times too small): scaling is done here. For
the background, the source is composited into the edited region first, and the other way round, so
that both images agree outside the region. A source that stands for all edits is passed as one row,
which `lpips.LPIPS` broadcasts. Under `pie-bench` both images are black outside the region instead.
An empty region is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eval.metrics import pie_bench
from eval.metrics.regions import Protocol, Region, check_pair, missing_where_empty


@torch.no_grad()
def lpips_distance(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    mask: Shaped[Tensor, "#n 1 mask_rows mask_cols"] | None = None,
    net: Callable[[Tensor, Tensor], Tensor],
    region: Region = "background",
    protocol: Protocol = "strict",
) -> Float[Tensor, " n"]:
    """Distance by `net`, an `lpips.LPIPS` (a spatial one is averaged) or anything called like one.

    `strict` stands for alex, `pie-bench` for squeeze: which network it is, is the caller's.
    """
    sources, inside = check_pair(source, edited, mask=mask, region=region, protocol=protocol)
    if protocol == "pie-bench":
        first, second = pie_bench.fill_with_zeros(sources, edited, inside=inside)
    else:
        first, second = source, torch.where(inside, edited, sources)
    weights = net.parameters() if isinstance(net, nn.Module) else iter(())
    like = next(weights, first)  # where the network is, and as precise
    distance = net((2 * first - 1).to(like), (2 * second - 1).to(like))  # (N, 1, 1, 1)
    return missing_where_empty(distance.reshape(len(edited), -1).mean(1), inside)
