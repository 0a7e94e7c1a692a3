"""CLIP similarities by an embedder that is passed in: images and words in, one float an image out.

The similarity to a prompt is 100 cos, not clamped (Hessel et al. 2021 without their clamp); the
directional and the image similarity are plain cosines in -1..1. The edited region is judged with
everything else filled with black, so that all editors show CLIP the same frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from eval.masks import Protocol as Rules
from eval.masks import Region, check_protocol, region_pixels

# A direction shorter than this is rounding of unit vectors, not an edit.
STILL = 1e-4


@runtime_checkable
class Embedder(Protocol):
    """A frozen CLIP that resizes and normalises for itself; its embeddings have length 1."""

    def embed_images(self, images: Tensor, /) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, D)."""
        ...

    def embed_texts(self, texts: list[str], /) -> Tensor:
        """N texts -> (N, D)."""
        ...


@torch.no_grad()
def clip_similarity(
    images: Float[Tensor, "n 3 h w"],
    prompts: Sequence[str],
    *,
    model: Embedder,
    mask: Shaped[Tensor, "#n 1 rows cols"] | None = None,
    region: Region = "whole",
    protocol: Rules = "strict",
) -> Float[Tensor, " n"]:
    """100 cos(image, prompt); one prompt may stand for all images. An empty region is NaN."""
    check_protocol(protocol)
    inside = region_pixels(images, mask, region)
    texts = model.embed_texts(list(prompts))
    similarity = 100 * cosine(model.embed_images(images * inside), texts)
    return similarity.masked_fill(~inside.flatten(1).any(1).to(similarity.device), torch.nan)


@torch.no_grad()
def directional_similarity(
    source: Float[Tensor, "#n 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    source_texts: Sequence[str],
    prompts: Sequence[str],
    model: Embedder,
) -> Float[Tensor, " n"]:
    """cos(edited - source, prompt - source text), Gal et al. 2021; see `direction_cosine`."""
    return direction_cosine(
        model.embed_images(source),
        model.embed_images(edited),
        source_text=model.embed_texts(list(source_texts)),
        prompt=model.embed_texts(list(prompts)),
    )


@torch.no_grad()
def image_similarity(
    source: Float[Tensor, "#n 3 h w"], edited: Float[Tensor, "n 3 h w"], *, model: Embedder
) -> Float[Tensor, " n"]:
    """CLIP-I: cos(source, edited)."""
    return cosine(model.embed_images(edited), model.embed_images(source))


def cosine(a: Float[Tensor, "n d"], b: Float[Tensor, "#n d"]) -> Float[Tensor, " n"]:
    """Cosines of rows, in float64."""
    return F.cosine_similarity(a.double(), b.double())


def direction_cosine(
    source: Float[Tensor, "#n d"],
    edited: Float[Tensor, "n d"],
    *,
    source_text: Float[Tensor, "#n d"],
    prompt: Float[Tensor, "#n d"],
) -> Float[Tensor, " n"]:
    """Of four embeddings of length 1.

    An edit that changes nothing went nowhere: 0. Words that ask for nothing have no answer: NaN.
    """
    seen, asked = (edited - source).double(), (prompt - source_text).double()
    similarity = cosine(seen, asked).masked_fill(seen.norm(dim=-1) <= STILL, 0.0)
    return similarity.masked_fill(asked.norm(dim=-1) <= STILL, torch.nan)
