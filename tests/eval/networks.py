"""Stand-ins for the judges: tiny, deterministic, and with the interface of the real adapters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lr_edit.types import Box, Label

WIDTH = 12


class FakeClip:
    """Images by a fixed random projection of a 4x4 thumbnail, words by their letters."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(48, WIDTH, generator=generator)
        self.images_seen = 0

    def embed_images(self, images: Tensor) -> Tensor:
        self.images_seen += len(images)
        thumbnail = F.adaptive_avg_pool2d(images, 4).flatten(1)
        return F.normalize(thumbnail @ self.weight, dim=-1)

    def embed_texts(self, texts: list[str]) -> Tensor:
        rows = torch.zeros(len(texts), WIDTH)
        for row, text in zip(rows, texts, strict=True):
            for letter in text:
                row[ord(letter) % WIDTH] += 1
        return F.normalize(rows, dim=-1)


class FakeDino:
    """Keys are 8x8 patches' means; refuses sides that are no multiples of 8."""

    def keys(self, images: Tensor) -> Tensor:
        assert images.shape[2] % 8 == 0 and images.shape[3] % 8 == 0
        return F.avg_pool2d(images, 8).flatten(2).mT + 0.1


class FakeLpips(torch.nn.Module):
    """Mean absolute difference; remembers the range it was fed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.seen += [a, b]
        return (a - b).abs().mean((1, 2, 3), keepdim=True)


class FakeJudge:
    """The brightest channel at the box's middle is the colour; darkness is `none`."""

    def kinds_and_colours(self, images: Tensor, boxes: Sequence[Box]) -> list[tuple[str, str]]:
        assert len(images) == len(boxes)
        seen = []
        for image, box in zip(images, boxes, strict=True):
            pixel = image[:, (box.top + box.bottom) // 2, (box.left + box.right) // 2]
            colour = ("red", "green", "blue")[int(pixel.argmax())]
            kind = "star" if pixel.min() > 0.3 else "ball"
            seen.append(("none", "none") if pixel.max() < 0.2 else (kind, colour))
        return seen

    def confidence(self, images: Tensor, boxes: Sequence[Box], *, label: Label) -> Tensor:
        seen = self.kinds_and_colours(images, boxes)
        return torch.tensor([float(one == (label.kind, label.colour)) for one in seen])
