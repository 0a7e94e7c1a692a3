"""Images as public preprocessing shows them: resized by Pillow, rounded to 8 bits, cut.

open_clip and DINO resize pictures, not tensors: what their networks see is 8 bits after the resize.
A float resize without that rounding moves a similarity by up to 0.04 points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from torchvision.transforms import InterpolationMode


def resize_pictures(
    images: Float[Tensor, "n 3 h w"], *, side: int, crop: int | None = None,
    interpolation: str = "bicubic",
) -> Float[Tensor, "n 3 crop crop"]:  # fmt: skip
    """Short side to `side`, then the middle square.

    Args:
        images: (N, 3, H, W) in [0, 1], the values of 8-bit pictures.
        side: pixels of the short side after the resize.
        crop: side of the square that is kept; `side` where None.
        interpolation: Pillow's filter.

    Returns:
        (N, 3, crop, crop) in [0, 1], each value a whole number of 255ths.
    """
    from torchvision.transforms import InterpolationMode  # a second that pixels do not need

    how = InterpolationMode(interpolation)
    return torch.cat([_resize(image, side, crop=crop or side, how=how) for image in images])


def resize_to(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The image at (height, width), by Pillow's bicubic filter, as MagicBrush's script does."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def _resize(
    image: Tensor, side: int, *, crop: int, how: InterpolationMode
) -> Float[Tensor, "1 3 crop crop"]:
    from torchvision.transforms.functional import center_crop, resize, to_pil_image, to_tensor

    picture = to_pil_image((image * 255).round().byte().cpu(), mode="RGB")
    return to_tensor(center_crop(resize(picture, [side], interpolation=how), [crop, crop]))[None]
