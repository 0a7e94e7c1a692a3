"""The DINO score: the cosine of two pictures' class tokens by a ViT-S/16 (Ruiz et al. 2023).

Another quantity than structure distance, which compares patches. Pictures are prepared as DINO's
own evaluation does: short side to 256 by Pillow's bicubic filter, the middle 224, ImageNet's mean
and deviation.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from eval.metrics.eight_bits import resize_pictures
from eval.metrics.pie_bench import IMAGENET_MEAN, IMAGENET_STD
from eval.metrics.regions import check_images

SHORT = 256 / 224  # the short side over the square that is kept


@torch.no_grad()
def dino_similarity(
    first: Float[Tensor, "n 3 rows cols"],
    second: Float[Tensor, "n 3 h w"],
    *,
    backbone: nn.Module,
) -> Float[Tensor, " n"]:
    """cos(first, second) of class tokens.

    Args:
        first: source or target, (N, 3, H, W) in [0, 1]; may have another size than `second`.
        second: edits, (N, 3, H, W) in [0, 1].
        backbone: a timm VisionTransformer with a class token, such as vit_small_patch16_224.dino.

    Returns:
        (N,) float64 in -1..1.

    Raises:
        ValueError: images of other ranges.

    Source:
        https://github.com/OSU-NLP-Group/MagicBrush, `eval_clip_i` with DINO.
    """
    return F.cosine_similarity(_class_tokens(first, backbone), _class_tokens(second, backbone))


def _class_tokens(images: Float[Tensor, "n 3 h w"], backbone: nn.Module) -> Float[Tensor, "n d"]:
    """After the final norm, float64."""
    check_images(images)
    vit = cast(Any, backbone.eval())
    crop = int(vit.patch_embed.img_size[0])
    shown = resize_pictures(images, side=round(SHORT * crop), crop=crop)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    device = next(vit.parameters()).device
    return vit.forward_features(((shown - mean) / std).to(device))[:, 0].double().cpu()
