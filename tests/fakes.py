"""Stand-ins for the three frozen models, by the Protocols of lr_edit.frozen: no weights, instant.

Each is a pure function of one picture at a time, so batches cannot change what it says.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lr_edit.frozen.detectors import Detection
from lr_edit.frozen.images import check_images
from lr_edit.types import Sampler

WIDTH = 16  # of every embedding


def drawn(seed: int, *shape: int) -> Tensor:
    """Normal numbers that a seed alone decides."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class FakeAnchors:
    """Attends to what differs from the picture's mean; features are patch colours, mixed."""

    def __init__(self, patch: int = 4) -> None:
        self.patch = (patch, patch)
        self.seen: list[Tensor] = []

    def attention(self, images: Tensor) -> Tensor:
        self.seen.append(check_images(images))
        contrast = (images - images.mean((2, 3), keepdim=True)).square().sum(1, keepdim=True)
        cells = F.avg_pool2d(contrast, self.patch).flatten(1)
        return (cells / cells.sum(1, keepdim=True).clamp(min=1e-9)).unflatten(
            1, (images.shape[2] // self.patch[0], -1)
        )

    def features(self, images: Tensor) -> Tensor:
        cells = F.avg_pool2d(check_images(images), self.patch)
        return torch.einsum("nchw,cd->ndhw", cells, drawn(1, 3, WIDTH))


class FakeClip:
    """Embeds the colours of a 4x4 thumbnail, and words by their spelling."""

    def embed_images(self, images: Tensor) -> Tensor:
        cells = F.adaptive_avg_pool2d(check_images(images), 4).flatten(1)
        mixed = torch.cat([row[None] @ drawn(2, 48, WIDTH) for row in cells])
        return F.normalize(mixed, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        rows = [
            torch.stack([drawn(zlib.crc32(word.encode()), WIDTH) for word in text.split()]).sum(0)
            for text in texts
        ]
        return F.normalize(torch.stack(rows), dim=-1)

    def cut_text(self, text: str) -> str:
        return ""

    def tokens(self, images: Tensor) -> Tensor:
        cells = F.adaptive_avg_pool2d(check_images(images), 4).flatten(2).mT
        return torch.cat([row[None] @ drawn(3, 3, WIDTH) for row in cells])


class RedFinder(FakeClip):
    """Whatever the words, their cosine is the share of red in the image; counts its views."""

    def __init__(self) -> None:
        self.views = 0

    def embed_images(self, images: Tensor) -> Tensor:
        self.views += len(images)
        red = (images[:, 0] - images[:, 2]).clamp(min=0).mean((1, 2))
        return torch.stack([red, (1 - red**2).sqrt()], dim=1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).repeat(len(texts), 1)


class FakeInpainter:
    """Paints the prompt's colour with the noise's grain, the finer the more steps were taken.

    What is outside the mask comes out darker: a real pipeline's autoencoder changes it too.
    """

    def __init__(self) -> None:
        self.nfe = 0
        self.max_batch: int | None = None
        self.watch: Callable[[int], None] | None = None
        self.prompts: list[str] = []
        self.noises: list[Tensor] = []

    def noise(self, side: int, seed: int) -> Tensor:
        return drawn(seed, 1, 3, side, side)

    def nfe_per_image(self, sampler: Sampler) -> int:
        return sampler.nfe

    def inpaint(
        self, image: Tensor, prompt: str, *, masks: Tensor, noise: Tensor, sampler: Sampler
    ) -> Tensor:
        self.nfe += len(masks) * sampler.nfe
        self.prompts.append(prompt)
        self.noises.append(noise)
        colour = drawn(zlib.crc32(prompt.encode()), 3).sigmoid()[:, None, None]
        inpainted = (colour + 0.1 / sampler.nfe * noise).clamp(0, 1)
        return torch.where(masks, inpainted, 0.9 * check_images(image))

    def predict(self, image: Tensor, prompt: str, *, noise: Tensor, strength: float) -> Tensor:
        self.nfe += len(noise)
        seen = (1 - strength) * check_images(image) + strength * noise
        return seen * drawn(zlib.crc32(prompt.encode()), 3)[:, None, None]


class FakeDetector:
    """Has these boxes, the surest first, whatever it is shown; keeps the words."""

    def __init__(self, *boxes: tuple[float, float, float, float], sure: float = 0.9) -> None:
        self._boxes, self._sure = torch.tensor(boxes).float(), sure
        self.words: list[str] = []

    def find(self, image: Tensor, words: str) -> Detection:
        check_images(image)
        self.words.append(words)
        return Detection(self._boxes, torch.linspace(self._sure, 0.1, len(self._boxes)))


class FakeSegmenter:
    """The left half of every box; of one that begins at 0, nothing."""

    def segment(self, image: Tensor, boxes: Tensor) -> Tensor:
        masks = torch.zeros(len(boxes), *image.shape[-2:], dtype=torch.bool)
        for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
            mask[top:bottom, left : (left + right) // 2] = left > 0
        return masks
