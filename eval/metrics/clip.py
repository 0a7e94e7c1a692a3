"""CLIP similarities by a model that is passed in: images and words in, one float an image out.

The similarity to a prompt is 100 cos, not clamped (Hessel et al. 2021 without their clamp; under
`pie-bench` with it); the directional and the image similarity are plain cosines in -1..1, whatever
the protocol. The edited region is judged with everything else filled with black, so that all
editors show CLIP the same frame; `crop` is another number, of the region's bounding box alone.

The model is an `Embedder`, or an open_clip model with its tokenizer, which is frozen and shown
images as its own checkpoint asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from eval.metrics import pie_bench
from eval.metrics.eight_bits import resize_pictures
from eval.metrics.regions import Protocol as Rules
from eval.metrics.regions import (
    Region,
    check_images,
    check_protocol,
    missing_where_empty,
    region_pixels,
)

Tokenizer = Callable[[list[str]], Tensor]

# What open_clip prepares images with where a model does not say: OpenAI's means and deviations.
OPENAI = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
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
    model: Embedder | nn.Module,
    tokenizer: Tokenizer | None = None,
    mask: Shaped[Tensor, "#n 1 rows cols"] | None = None,
    region: Region | Literal["crop"] = "whole",
    protocol: Rules = "strict",
) -> Float[Tensor, " n"]:
    """100 cos(image, prompt), by CLIP.

    Args:
        images: (N, 3, H, W) in [0, 1].
        prompts: N texts, or one that stands for all.
        model: an embedder, or a model of open_clip.
        tokenizer: of a bare open_clip model.
        mask: (N, 1, H, W), True where edited; `whole` needs none.
        region: `whole`; `edited` or `background`, black elsewhere; `crop`, the mask's own box.
        protocol: under `pie-bench` negative values are 0.

    Returns:
        (N,) float64 in -100..100; NaN where the region is empty.

    Raises:
        ValueError: other ranges or sizes, no mask where the region needs one.

    Source: CLIPScore without its clamp (Hessel et al. 2021); PnPInversion's calculator.
    """
    check_protocol(protocol)
    inside = region_pixels(images, mask, region="edited" if region == "crop" else region)
    clip = embedder(model, tokenizer)
    texts = clip.embed_texts(_texts(prompts))
    if region == "crop":
        seen = [clip.embed_images(crop.float()) for crop in _crops(images, inside)]
        embedded = torch.cat(seen) if seen else texts[:0]
    else:
        embedded = clip.embed_images((images * inside).float())
    similarity = 100 * cosine(embedded, texts)
    if protocol == "pie-bench":
        similarity = pie_bench.clip_score(similarity)
    return missing_where_empty(similarity, inside)


@torch.no_grad()
def directional_similarity(
    source: Float[Tensor, "#n 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    source_texts: Sequence[str],
    prompts: Sequence[str],
    model: Embedder | nn.Module,
    tokenizer: Tokenizer | None = None,
    protocol: Rules = "strict",
) -> Float[Tensor, " n"]:
    """cos(edited - source, prompt - source text), by CLIP; see `direction_cosine`.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H, W) in [0, 1].
        source_texts: what the sources show.
        prompts: what the edits are to show.
        model: an embedder, or a model of open_clip.
        tokenizer: of a bare open_clip model.
        protocol: PnPInversion has no such number, so both mean the same.

    Returns:
        (N,) in -1..1; NaN where the two texts, or the two images, are equal.

    Raises:
        ValueError: an unknown protocol.

    Source: Gal et al. 2021 (StyleGAN-NADA).
    """
    check_protocol(protocol)
    clip = embedder(model, tokenizer)
    return direction_cosine(
        clip.embed_images(source.float()),
        clip.embed_images(edited.float()),
        source_text=clip.embed_texts(_texts(source_texts)),
        prompt=clip.embed_texts(_texts(prompts)),
    )


@torch.no_grad()
def image_similarity(
    source: Float[Tensor, "#n 3 rows cols"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    model: Embedder | nn.Module,
    tokenizer: Tokenizer | None = None,
) -> Float[Tensor, " n"]:
    """CLIP-I: cos(source, edited), whatever their sizes.

    Args:
        source: (N, 3, H, W) in [0, 1]; one may stand for all.
        edited: (N, 3, H2, W2) in [0, 1].
        model: an embedder, or a model of open_clip.
        tokenizer: not needed, for no word is read.

    Returns:
        (N,) in -1..1.

    Source: Ruiz et al. 2023 (DreamBooth); MagicBrush's script.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> colours = SimpleNamespace(embed_images=lambda x: x.mean((2, 3)), embed_texts=len)
        >>> red = torch.zeros(1, 3, 4, 4)
        >>> red[:, 0] = 1
        >>> image_similarity(red, red.flip(1), model=colours)
        tensor([0.], dtype=torch.float64)
    """
    for pictures in (source, edited):
        check_images(pictures)
    clip = embedder(model, tokenizer or _no_words)
    return cosine(clip.embed_images(edited.float()), clip.embed_images(source.float()))


def embedder(model: Embedder | nn.Module, tokenizer: Tokenizer | None = None) -> Embedder:
    """The model itself, or an open_clip model with its tokenizer behind the same two methods.

    ValueError for a bare model without a tokenizer.
    """
    if isinstance(model, Embedder):
        return model
    if tokenizer is None:
        raise ValueError("an open_clip model reads words with its tokenizer: pass tokenizer=")
    from lr_edit.frozen.clip import Clip  # imports open_clip: only where a bare model is passed

    tower = cast(Any, getattr(model, "visual", model))
    if not getattr(tower, "preprocess_cfg", None):  # built by hand, not by open_clip's factory
        tower.preprocess_cfg = {"size": tower.image_size, **OPENAI}
    return PictureClip(Clip(model, tokenizer, device=next(model.parameters()).device))


class PictureClip:
    """An open_clip model that is shown pictures exactly as open_clip's own preprocessing does."""

    def __init__(self, clip: Embedder) -> None:
        self.clip, self.model = clip, cast(Any, clip).model
        config = self.model.visual.preprocess_cfg
        size = config["size"]
        self._side = size if isinstance(size, int) else size[0]
        self._how = config.get("interpolation", "bicubic")

    def embed_images(self, images: Tensor, /) -> Tensor:
        """(N, 3, H, W) in [0, 1], the values of 8-bit pictures -> (N, D)."""
        shown = resize_pictures(images, side=self._side, interpolation=self._how)
        return self.clip.embed_images(shown)

    def embed_texts(self, texts: list[str], /) -> Tensor:
        """N texts -> (N, D)."""
        return self.clip.embed_texts(texts)


def _crops(
    images: Float[Tensor, "n 3 h w"], inside: Bool[Tensor, "n 1 h w"]
) -> Iterator[Float[Tensor, "1 3 rows cols"]]:
    """Each image cut to its region's bounding box, and whole where the region is empty."""
    for image, where in zip(images, inside[:, 0], strict=True):
        if where.any():
            rows, cols = (where.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
            image = image[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        yield image[None]


def _no_words(texts: list[str]) -> Tensor:
    raise ValueError(f"no tokenizer was given to read {texts!r} with")


def cosine(a: Float[Tensor, "n d"], b: Float[Tensor, "#n d"]) -> Float[Tensor, " n"]:
    """Cosines of rows, in float64."""
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise ValueError(f"{len(b)} for {len(a)} pictures: give one for all, or one for each")
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


def _texts(texts: Sequence[str]) -> list[str]:
    """ValueError for one text, which would be read letter by letter."""
    if isinstance(texts, str):
        raise ValueError(f"a list of texts, got the text {texts[:40]!r}: write [text]")
    return list(texts)
