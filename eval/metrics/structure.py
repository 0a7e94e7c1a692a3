"""Structure distance: mean squared difference of two images' patch self-similarities.

Keys of DINO's last block, heads side by side, class token kept (Tumanyan et al. 2022): cosine of
every token with every token, 785 x 785 at 224 pixels. `pie-bench` shows the backbone 0..255.
"""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from eval.metrics import pie_bench
from eval.metrics.regions import Protocol as Rules
from eval.metrics.regions import check_images, check_protocol


@runtime_checkable
class KeyExtractor(Protocol):
    """A frozen ViT that normalises for itself."""

    def keys(self, images: Tensor, /) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, tokens, C)."""
        ...


@torch.no_grad()
def structure_distance(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    backbone: KeyExtractor | nn.Module,
    side: int | None = None,
    protocol: Rules = "strict",
) -> Float[Tensor, " n"]:
    """How far the self-similarity of a ViT's keys moved from source to edit.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H, W) in [0, 1].
        backbone: has `keys`, or is a timm VisionTransformer; under `pie-bench` a timm model.
        side: images are resized, antialiased, to this square: by default a timm model's own (224
            for DINO), else not at all; under `pie-bench` the resize is the protocol's.
        protocol: `strict`, or `pie-bench` as published tables were measured.

    Returns:
        (N,) at least 0; 0 for equal images.

    Raises:
        ValueError: other ranges or sizes, or a side that is none.

    Source: Tumanyan et al. 2022 (Splice); `pie-bench`: PnPInversion's calculator.
    """
    check_protocol(protocol)
    if side is not None and (type(side) is not int or side < 1):
        raise ValueError(f"side {side!r}: a whole number of pixels, 1 at least")
    for images in (source, edited):
        check_images(images)
    if source.shape[2:] != edited.shape[2:]:
        raise ValueError(
            f"source {tuple(source.shape[2:])} and edit {tuple(edited.shape[2:])} differ in size"
        )
    if protocol == "pie-bench":
        model = backbone if isinstance(backbone, nn.Module) else getattr(backbone, "model", None)
        if model is None:
            raise ValueError("pie-bench feeds 0..255: pass a timm ViT, which does not normalise")
        return _distance(*(pie_bench.dino_keys(images, model) for images in (source, edited)))
    if not isinstance(backbone, KeyExtractor):
        from lr_edit.frozen.dino import Dino  # imports timm: only where a bare model is passed

        side = side or int(cast(Any, backbone).patch_embed.img_size[0])
        backbone = Dino(backbone, device=next(backbone.parameters()).device)
    return _distance(
        *(backbone.keys(_resized(images.float(), side)) for images in (source, edited))
    )


def _distance(
    source: Float[Tensor, "#n tokens c"], edited: Float[Tensor, "n tokens c"]
) -> Float[Tensor, " n"]:
    difference = _self_similarity(edited) - _self_similarity(source)
    return difference.double().square().mean((1, 2))


def _resized(images: Float[Tensor, "n 3 h w"], side: int | None) -> Float[Tensor, "n 3 h2 w2"]:
    if side is None or images.shape[2:] == (side, side):
        return images
    smaller = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    return smaller.clamp(0, 1)


def _self_similarity(keys: Float[Tensor, "n tokens c"]) -> Float[Tensor, "n tokens tokens"]:
    unit = F.normalize(keys.float(), dim=-1)
    return unit @ unit.mT
