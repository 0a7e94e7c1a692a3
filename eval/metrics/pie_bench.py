"""The `pie-bench` protocol: every quirk of PnPInversion's calculator, by name, in this file alone.

What published PIE-Bench tables were measured with (cure-lab/PnPInversion, evaluation/evaluate.py
and matrics_calculator.py; Ju et al. 2024). To stand beside those tables, not because it is right:

decode_mask         masks are runs `[start, length, ...]`, row-major on 512x512, cut at the end
ringed              the outermost pixels count as edited, "to avoid annotation errors in boundary"
strip_square        editors save strips of 512-pixel pictures: the bottom right one is the edit
zero_filled         both images are multiplied by the region: black outside it
mean_squared_error  the mean runs over the whole frame, however small the region
reflected           SSIM (torchmetrics >= 1.4.2) pads by reflection and counts the border
dino_keys           structure distance feeds 0..255 to the ImageNet normalisation (an omission
                    that all its numbers carry), short side at 224, long side at most 480
clip_score          100 cos, negative ones are 0
NETWORKS            CLIP ViT-L/14, DINO ViT-B/8, LPIPS squeeze
without_brackets    `[ ]` in prompts marks words and is taken out
jpeg_75             published results were saved as JPEG of quality 75; an option, off by default

PSNR is taken per image and then averaged in dB; an empty region is missing.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from eval.metrics.regions import missing_where_empty

SIDE = 512  # pixels of the annotated images
QUALITY = 75
SHORT, LONG = 224, 480  # pixels that structure distance resizes to
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Role -> (name, tag) that our loaders know.
NETWORKS: dict[str, tuple[str, str | None]] = {
    "clip": ("ViT-L-14-quickgelu", "openai"),
    "structure": ("vit_base_patch8_224.dino", None),
    "perceptual": ("squeeze", None),
}

# PnPInversion's table (Ju et al. 2024), 700 images: in the table's own units, column by column.
PUBLISHED_COLUMNS = (
    "structure_distance", "background_psnr", "lpips", "background_mse", "background_ssim",
    "clip_whole", "clip_edited",
)  # fmt: skip
PUBLISHED = {
    "DDIM + P2P": (69.43, 17.87, 208.80, 219.88, 71.14, 25.01, 22.44),
    "Null-text + P2P": (13.44, 27.03, 60.67, 35.86, 84.11, 24.75, 21.86),
    "PnP Inversion + P2P": (11.65, 27.22, 54.55, 32.86, 84.76, 25.02, 22.10),
    "PnP Inversion + MasaCtrl": (24.70, 22.64, 87.94, 81.09, 81.33, 24.38, 21.35),
}


def decode_mask(
    runs: Sequence[int], *, side: int = SIDE, ring: bool = True
) -> Bool[np.ndarray, "side side"]:
    """True where edited. A run that leaves the frame is cut there; ValueError for no such runs."""
    if side < 1:
        raise ValueError(f"a frame of {side} pixels holds no mask")
    if len(runs) % 2:
        raise ValueError("a mask is pairs of start and length, and one of them has no length")
    flat = np.zeros(side * side, bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        if not (0 <= start <= len(flat) and length >= 0):
            raise ValueError(f"the run [{start}, {length}] does not lie on {side}x{side} pixels")
        flat[start : start + length] = True
    mask = flat.reshape(side, side)
    return add_ring(mask) if ring else mask


def add_ring(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The mask with its outermost pixels counted as edited."""
    mask = mask.copy()
    mask[[0, -1], :] = True
    mask[:, [0, -1]] = True
    return mask


def strip_square(
    image: UInt8[np.ndarray, "h w 3"], *, side: int = SIDE
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The last square of a strip of pictures; any other image as it is, for it is no strip."""
    high, wide = image.shape[:2]
    is_strip = wide > side and wide % side == 0 and side <= high < wide
    return image[high - side :, wide - side :] if is_strip else image


def fill_with_zeros(
    source: Float[Tensor, "n 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    inside: Bool[Tensor, "n 1 h w"],
) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]]:
    """Both images, black outside the region."""
    return source * inside, edited * inside


def mean_squared_error(
    source: Float[Tensor, "n 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    inside: Bool[Tensor, "n 1 h w"],
) -> Float[Tensor, " n"]:
    """Over the whole frame of the zero-filled pair, float64."""
    first, second = fill_with_zeros(source.double(), edited.double(), inside=inside)
    return missing_where_empty((first - second).square().mean((1, 2, 3)), inside)


def reflect_background(
    source: Float[Tensor, "n 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    inside: Bool[Tensor, "n 1 h w"],
    margin: int,
) -> tuple[Float[Tensor, "n 3 h2 w2"], Float[Tensor, "n 3 h2 w2"]]:
    """The zero-filled pair in float64, `margin` pixels of it mirrored on each side."""
    first, second = fill_with_zeros(source.double(), edited.double(), inside=inside)
    around = (margin,) * 4
    return F.pad(first, around, mode="reflect"), F.pad(second, around, mode="reflect")


def dino_keys(images: Float[Tensor, "n 3 h w"], model: nn.Module) -> Float[Tensor, "n tokens c"]:
    """Keys of a timm ViT's last block, heads side by side, for images in [0, 1] fed as 0..255.

    Pixels beyond the last whole patch are dropped, as DINO's strided convolution does. The resize
    is antialiased, as torchvision does since 0.17. A model that takes one size alone is shown that
    size; ValueError if the image cannot have it.
    """
    from torchvision.transforms.functional import resize  # a second that pixels do not need

    vit = cast(Any, model.eval())
    side = SHORT if vit.dynamic_img_size else int(vit.patch_embed.img_size[0])
    device = next(vit.parameters()).device
    x = resize(
        255 * images.float().to(device), [side], max_size=max(LONG, side + 1), antialias=True
    )
    high, wide = (n - n % p for n, p in zip(x.shape[2:], vit.patch_embed.patch_size, strict=True))
    if not vit.dynamic_img_size and (high, wide) != tuple(vit.patch_embed.img_size):
        raise ValueError(
            f"the backbone takes {side}x{side} pixels and no others: make it with dynamic_img_size"
        )
    mean, std = (
        torch.tensor(v, device=device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD)
    )
    caught: list[Tensor] = []
    hook = vit.blocks[-1].attn.qkv.register_forward_hook(
        lambda _module, _inputs, output: caught.append(output)
    )
    try:
        vit.forward_features((x[:, :, :high, :wide] - mean) / std)
    finally:
        hook.remove()
    return caught[0].chunk(3, dim=-1)[1]


def clip_score(similarity: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """max(100 cos, 0), as torchmetrics' CLIPScore."""
    return similarity.clamp(min=0)


def strip_brackets(prompt: str) -> str:
    """The prompt as a model is given it."""
    return prompt.replace("[", "").replace("]", "")


def jpeg_75(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The image as it would come back from a JPEG file of quality 75."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))
