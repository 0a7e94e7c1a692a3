"""One source and its edit, with what is known of them, as metrics take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from eval.metrics.change import difference_of
from eval.metrics.clip import Embedder
from eval.metrics.eight_bits import resize_to
from eval.metrics.regions import Protocol, Region, channel_mean
from eval.metrics.registry import Measure
from eval.metrics.ssim import similarity_map

Role = Literal["clip", "structure", "perceptual", "dino"]
Networks = Mapping[str, Any]  # role -> an Embedder, a timm ViT, an lpips.LPIPS


@dataclass(frozen=True)
class Pair:
    """A source, its edit and what is known of them. The mask is True where edited.

    `target` is what the edit should look like. `saved` is the edit as its editor saved it, where
    that has another size than the source: what a target is compared with.
    """

    source: UInt8[np.ndarray, "h w 3"]
    edited: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"] | None = None
    prompt: str | None = None
    source_text: str | None = None
    target: UInt8[np.ndarray, "h2 w2 3"] | None = None
    saved: UInt8[np.ndarray, "h3 w3 3"] | None = None

    def lacks(self, needs: Iterable[str]) -> str | None:
        """The first of what is needed that the pair has not."""
        has = {
            "mask": self.mask is not None,
            "prompt": self.prompt,
            "source-prompt": self.source_text,
            "target": self.target is not None,
        }
        return next((need for need in needs if not has[need]), None)


@dataclass(frozen=True)
class PairTensors:
    """A pair as tensors of one image, and how to measure it; what several metrics read of it is
    computed once.

    `saved` is the edit as its editor saved it; `fitted` the same at the target's size.
    """

    source: Float[Tensor, "1 3 h w"]
    edited: Float[Tensor, "1 3 h w"]
    mask: Bool[Tensor, "1 1 h w"] | None
    target: Float[Tensor, "1 3 h2 w2"] | None
    saved: Float[Tensor, "1 3 h3 w3"]
    fitted: Float[Tensor, "1 3 h2 w2"] | None
    pair: Pair
    networks: Networks
    protocol: Protocol

    @cached_property
    def doubles(self) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 3 h w"]]:
        """The source and the edit in float64."""
        return self.source.double(), self.edited.double()

    @cached_property
    def gap(self) -> Float[Tensor, "1 3 h w"]:
        """What the edit added to the source, in float64."""
        source, edited = self.doubles
        return edited - source

    @cached_property
    def error(self) -> Float[Tensor, "1 1 h w"]:
        """The squared error of every pixel."""
        return channel_mean(self.gap.square())

    @cached_property
    def similarity(self) -> Float[Tensor, "1 1 rows cols"]:
        """SSIM of every window."""
        return similarity_map(*self.doubles)

    @cached_property
    def difference(self) -> Float[Tensor, "1 h w"]:
        """By how much every pixel changed, apart from the light of what was to stay."""
        return difference_of(self.gap, mask=self.mask)

    def region(self, region: Region) -> Bool[Tensor, "1 1 h w"]:
        """True where it is."""
        if region == "whole" or self.mask is None:
            return torch.ones_like(self.source[:, :1], dtype=torch.bool)
        return self.mask if region == "edited" else ~self.mask


@dataclass(frozen=True)
class Metric:
    """One row of the suite; `needs` are the options of `lr-edit score` that bring it."""

    measure: Measure
    value: Callable[[PairTensors], Tensor]
    role: Role | None = None
    needs: tuple[str, ...] = ()


def as_tensors(pair: Pair, *, networks: Networks, protocol: Protocol) -> PairTensors:
    """A pair as its metrics take it; equal pictures and words are embedded once."""
    if "clip" in networks:
        networks = {**networks, "clip": EmbedOnce(networks["clip"])}
    edited = as_tensor(pair.edited)
    saved = pair.edited if pair.saved is None else pair.saved
    target = fitted = None
    if pair.target is not None:
        target = as_tensor(pair.target)
        fitted = as_tensor(resize_to(saved, pair.target.shape[:2]))
    return PairTensors(
        source=as_tensor(pair.source),
        edited=edited,
        mask=None if pair.mask is None else torch.from_numpy(pair.mask)[None, None],
        target=target,
        saved=edited if saved is pair.edited else as_tensor(saved),
        fitted=fitted,
        pair=pair,
        networks=networks,
        protocol=protocol,
    )


class EmbedOnce:
    """An embedder that embeds equal pictures and words of one pair once."""

    def __init__(self, clip: Embedder) -> None:
        self._clip = clip
        self._images: dict[tuple[torch.Size, bytes], Tensor] = {}
        self._texts: dict[str, Tensor] = {}

    def embed_images(self, images: Tensor) -> Tensor:
        key = (images.shape, images.numpy().tobytes())
        if key not in self._images:
            self._images[key] = self._clip.embed_images(images)
        return self._images[key]

    def embed_texts(self, texts: list[str]) -> Tensor:
        for text in texts:
            if text not in self._texts:
                self._texts[text] = self._clip.embed_texts([text])
        return torch.cat([self._texts[text] for text in texts])


def as_tensor(image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    """Channel after channel in memory: what reduces over them is several times as fast."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return torch.from_numpy(planes.astype(np.float32) / 255)[None]
