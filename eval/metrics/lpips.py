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
    """Perceptual distance of a region, by a network that the caller chooses.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H, W) in [0, 1].
        mask: (N, 1, H, W), True where edited; `whole` needs none.
        net: an `lpips.LPIPS` (a spatial one is averaged), or anything called like one with images
            in [-1, 1]; `strict` stands for alex, `pie-bench` for squeeze.
        region: `background`, `edited` or `whole`.
        protocol: `strict`, or `pie-bench` as published tables were measured.

    Returns:
        (N,) float64, at least 0; NaN where the region is empty.

    Raises:
        ValueError: other ranges or sizes, no mask where the region needs one.

    Source: Zhang et al. 2018; `pie-bench`: PnPInversion's calculator.

    Example:
        >>> import torch
        >>> squares = lambda a, b: (a - b).square().mean((1, 2, 3))
        >>> source = torch.zeros(1, 3, 4, 4)
        >>> lpips_distance(source, source + 1, net=squares, region="whole")
        tensor([4.], dtype=torch.float64)
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
