"""The kind and colour judge over timm: pictures and boxes in, what stands there out.

The editor's training never uses it; it exists for the picture-book world alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lr_edit.files import read_json
from lr_edit.frozen.images import check_images
from lr_edit.frozen.weights import check_numbers, folder_of, loading
from lr_edit.types import Box, Label

NONE = "none"  # the class of ground with nothing on it
CROP = 48  # pixels: side of the model's input
_MARGIN = 1.25  # side of the crop over the longer side of the box


class Judge:
    """A frozen classifier of crops whose first logits are kinds and whose others are colours."""

    def __init__(
        self,
        model: nn.Module,
        *,
        kinds: Sequence[str],
        colours: Sequence[str],
        device: str | torch.device = "cpu",
    ) -> None:
        self.model = model.eval().requires_grad_(False).to(device)
        self.kinds, self.colours = tuple(kinds), tuple(colours)
        self.device = torch.device(device)

    def kinds_and_colours(
        self, images: Float[Tensor, "n 3 h w"], boxes: Sequence[Box]
    ) -> list[tuple[str, str]]:
        """What stands in the box of each image; `none` for the kind, the colour, or both."""
        kinds, colours = self.probabilities(images, boxes)
        return [
            (self.kinds[kind], self.colours[colour])
            for kind, colour in zip(
                kinds.argmax(1).tolist(), colours.argmax(1).tolist(), strict=True
            )
        ]

    def confidence(
        self, images: Float[Tensor, "n 3 h w"], boxes: Sequence[Box], *, label: Label
    ) -> Float[Tensor, " n"]:
        """How sure the judge is that this kind in this colour stands in the box of each image."""
        kinds, colours = self.probabilities(images, boxes)
        return kinds[:, self.kinds.index(label.kind)] * colours[:, self.colours.index(label.colour)]

    @torch.no_grad()
    def probabilities(
        self, images: Float[Tensor, "n 3 h w"], boxes: Sequence[Box]
    ) -> tuple[Float[Tensor, "n kinds"], Float[Tensor, "n colours"]]:
        """How sure the judge is of each kind and of each colour, `none` among both."""
        if len(images) != len(boxes):
            raise ValueError(f"one box per image: {len(images)} images, {len(boxes)} boxes")
        logits = self.model(crops(check_images(images).to(self.device), squares(boxes)) * 2 - 1)
        kinds, colours = logits.split([len(self.kinds), len(self.colours)], dim=1)
        return kinds.softmax(1).cpu(), colours.softmax(1).cpu()


def squares(boxes: Sequence[Box]) -> Float[Tensor, "n 3"]:
    """Centre x, centre y and side, in pixels, of the square about each box that is classified."""
    return torch.tensor(
        [
            (
                (b.left + b.right) / 2,
                (b.top + b.bottom) / 2,
                _MARGIN * max(b.right - b.left, b.bottom - b.top),
            )
            for b in boxes
        ]
    ).view(-1, 3)


def crops(
    images: Float[Tensor, "n 3 h w"], places: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 crop crop"]:
    """Squares of the images, bilinear, at `CROP` pixels; beyond the frame the edge is repeated."""
    high, wide = images.shape[2:]
    x, y, side = places.to(images).unbind(1)
    theta = images.new_zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = side / wide, 2 * x / wide - 1
    theta[:, 1, 1], theta[:, 1, 2] = side / high, 2 * y / high - 1
    grid = F.affine_grid(theta, [len(images), 3, CROP, CROP], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def load_judge(name: str, *, device: str | torch.device = "cpu") -> Judge:
    """The judge in `local-dir:FOLDER`, with its words from labels.json. Raises UserError."""
    with loading(name, needs=("config.json", "model.safetensors", "labels.json")):
        labels = read_json(Path(str(folder_of(name))) / "labels.json")
        model = timm.create_model(name, pretrained=True)
        check_numbers(name, model)
    return Judge(model, kinds=labels["kinds"], colours=labels["colours"], device=device)
