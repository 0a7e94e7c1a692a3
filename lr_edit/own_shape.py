"""A picture in its own shape between a study and the method, which works on a square.

The picture lies at the square's upper left, so that a box has the same pixels in both; beyond it
the square repeats its edge. DINO and the inpainter see the picture alone, and what comes back has
its shape. Departure: the release stretches photos to the square, as the mode `paper` of
`lr-edit edit` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lr_edit.frame import Frame
from lr_edit.framed_anchors import FramedAnchors
from lr_edit.framed_models import Canvas, FramedInpainter
from lr_edit.frozen.models import Models
from lr_edit.profiles import Profile
from lr_edit.types import Bank, Box

Make = Callable[..., tuple[Bank, Tensor]]  # models, source=(3, side, side) -> candidates


def in_own_shape(
    make: Make, models: Models, *, picture: UInt8[np.ndarray, "3 h w"], profile: Profile
) -> tuple[Bank, UInt8[np.ndarray, "points sizes 3 h w"]]:
    """What `make` makes of the square about a picture, in the picture's shape.

    Args:
        make: Proposes, inpaints and scores; its boxes end where `models.part` does.
        models: The frozen models.
        picture: At working size: the longer side is the models'.
        profile: Says the side and the latent cell.

    Returns:
        The scored candidates, their boxes in the picture; the candidates.
    """
    side, (height, width) = profile.side, picture.shape[1:]
    if (height, width) == (side, side):
        bank, images = make(models, source=torch.from_numpy(picture.copy()))
        return bank, images.numpy()
    canvas = Canvas(picture.transpose(1, 2, 0), Frame(0, 0, side, side), side, profile.cell)
    framed = replace(
        models,
        anchors=FramedAnchors(models.anchors, part=canvas.part, side=side),
        inpainter=FramedInpainter(models.inpainter, canvas),
        part=Box(0, 0, width, height),
    )
    bank, images = make(framed, source=canvas.square)
    return bank, images[..., :height, :width].numpy().copy()
