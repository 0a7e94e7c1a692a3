"""Every metric of one source and its edit, by name: what it is, what it needs, what it gives.

A metric needs nothing, or one network (`role`), and perhaps a mask, a prompt, or words that
describe the source. What the pair lacks is NaN. Values are raw; tables multiply them by 10^power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from eval.metrics.clip import Embedder, clip_similarity, directional_similarity, image_similarity
from eval.metrics.lpips import lpips_distance
from eval.metrics.pixels import mean_squared_error, peak_signal_noise_ratio
from eval.metrics.regions import Protocol, Region
from eval.metrics.registry import BY_KEY, Measure
from eval.metrics.ssim import structural_similarity
from eval.metrics.structure import structure_distance
from lr_edit.errors import UserError, suggest_name

Role = Literal["clip", "structure", "perceptual"]
Networks = Mapping[str, Any]  # role -> an Embedder, a timm ViT, an lpips.LPIPS


@dataclass(frozen=True)
class Pair:
    """A source, its edit and what is known of them. The mask is True where edited."""

    source: UInt8[np.ndarray, "h w 3"]
    edited: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"] | None = None
    prompt: str | None = None
    source_text: str | None = None

    def lacks(self, metric: Metric) -> str | None:
        """The first thing that the metric needs and the pair has not."""
        has = {
            "mask": self.mask is not None,
            "prompt": self.prompt,
            "source-prompt": self.source_text,
        }
        return next((need for need in metric.needs if not has[need]), None)


@dataclass(frozen=True)
class PairTensors:
    """A pair as tensors of one image, and how to measure it."""

    source: Float[Tensor, "1 3 h w"]
    edited: Float[Tensor, "1 3 h w"]
    mask: Bool[Tensor, "1 1 h w"] | None
    pair: Pair
    networks: Networks
    protocol: Protocol


@dataclass(frozen=True)
class Metric:
    """One row of the suite; `needs` are the options of `lr-edit score` that bring it."""

    measure: Measure
    value: Callable[[PairTensors], Tensor]
    role: Role | None = None
    needs: tuple[str, ...] = ()


def _pixel(function: Callable, region: Region) -> Callable[[PairTensors], Tensor]:
    return lambda seen: function(
        seen.source, seen.edited, mask=seen.mask, region=region, protocol=seen.protocol
    )


def _lpips(region: Region) -> Callable[[PairTensors], Tensor]:
    return lambda seen: lpips_distance(
        seen.source, seen.edited, mask=seen.mask, region=region, protocol=seen.protocol,
        net=seen.networks["perceptual"],
    )  # fmt: skip


def _clip(region: Region | Literal["crop"]) -> Callable[[PairTensors], Tensor]:
    return lambda seen: clip_similarity(
        seen.edited, [str(seen.pair.prompt)], model=seen.networks["clip"], mask=seen.mask,
        region=region, protocol=seen.protocol,
    )  # fmt: skip


def _structure(seen: PairTensors) -> Tensor:
    return structure_distance(
        seen.source, seen.edited, backbone=seen.networks["structure"], protocol=seen.protocol
    )


def _direction(seen: PairTensors) -> Tensor:
    return directional_similarity(
        seen.source, seen.edited, source_texts=[str(seen.pair.source_text)],
        prompts=[str(seen.pair.prompt)], model=seen.networks["clip"], protocol=seen.protocol,
    )  # fmt: skip


def _same_image(seen: PairTensors) -> Tensor:
    return image_similarity(seen.source, seen.edited, model=seen.networks["clip"])


def _regional(region: Region) -> list[Metric]:
    """The four comparisons of a region; the background's have the names of published tables."""
    kinds: tuple[tuple[str, str, bool, int, Role | None, Callable[[PairTensors], Tensor]], ...] = (
        ("psnr", "PSNR", True, 0, None, _pixel(peak_signal_noise_ratio, region)),
        ("lpips", "LPIPS", False, 3, "perceptual", _lpips(region)),
        ("mse", "MSE", False, 4, None, _pixel(mean_squared_error, region)),
        ("ssim", "SSIM", True, 2, None, _pixel(structural_similarity, region)),
    )
    found = []
    for kind, title, higher, power, role, value in kinds:
        name = "lpips" if (kind, region) == ("lpips", "background") else f"{region}_{kind}"
        measure = BY_KEY.get(name) or Measure(
            name, title, region.capitalize(), higher, region, power=power
        )
        found.append(Metric(measure, value, role, () if region == "whole" else ("mask",)))
    return found


_CROP = Measure("clip_crop", "Crop", "CLIP", True, "edited")
_ALL = (
    Metric(BY_KEY["structure_distance"], _structure, "structure"),
    *_regional("background"),
    Metric(BY_KEY["clip_whole"], _clip("whole"), "clip", ("prompt",)),
    Metric(BY_KEY["clip_edited"], _clip("edited"), "clip", ("prompt", "mask")),
    Metric(_CROP, _clip("crop"), "clip", ("prompt", "mask")),
    Metric(BY_KEY["clip_directional"], _direction, "clip", ("prompt", "source-prompt")),
    Metric(BY_KEY["clip_i"], _same_image, "clip"),
    *_regional("whole"),
    *_regional("edited"),
)
SUITE: dict[str, Metric] = {metric.measure.key: metric for metric in _ALL}
FAMILIES = {
    "mse": ("background_mse", "whole_mse"),
    "psnr": ("background_psnr", "whole_psnr"),
    "ssim": ("background_ssim", "whole_ssim"),
    "clip": tuple(name for name in SUITE if name.startswith("clip_")),
    "structure": ("structure_distance",),
}
# What is measured unless somebody asks: how much the edited region changed is no quality.
DEFAULT = tuple(name for name in SUITE if not name.startswith("edited_"))


def select_metrics(names: Iterable[str]) -> tuple[str, ...]:
    """Metrics by name or family (`mse`, `clip`), once each; UserError for other names."""
    found: list[str] = []
    for name in (name.strip() for name in names):
        if name not in SUITE and name not in FAMILIES:
            raise UserError(f"unknown metric {name!r}{suggest_name(name, (*SUITE, *FAMILIES))}")
        found += FAMILIES.get(name, (name,))
    return tuple(dict.fromkeys(found))


def describe_metric(name: str) -> dict[str, Any]:
    """Where a metric is measured and which way is better."""
    known = SUITE[name].measure
    return {"region": known.region, "higher_is_better": known.higher_is_better}


def measure(
    pair: Pair, names: Iterable[str], *, networks: Networks, protocol: Protocol
) -> dict[str, float]:
    """Metric -> value; NaN where the pair lacks what it needs, inf for the PSNR of equal pixels."""
    if "clip" in networks:
        networks = {**networks, "clip": _Once(networks["clip"])}
    mask = None if pair.mask is None else torch.from_numpy(pair.mask)[None, None]
    seen = PairTensors(_tensor(pair.source), _tensor(pair.edited), mask, pair, networks, protocol)
    return {
        name: float("nan") if pair.lacks(SUITE[name]) else float(SUITE[name].value(seen).item())
        for name in names
    }


class _Once:
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


def _tensor(image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]
