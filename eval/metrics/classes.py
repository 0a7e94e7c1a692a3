"""The metrics as `torchmetrics.Metric`: they sync, move and reset as any other.

Every class calls the pure function of the same name and keeps one float64 an image. `compute` is
the mean over finite values (NaN if there is none); `counts` says how many images gave a finite
value, none, or inf. Networks are registered, so that `.to(device)` moves them too.

    metric = PeakSignalNoiseRatio(protocol="pie-bench")
    metric.update(source, edited, mask)
    metric.compute(), metric.counts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float, Real, Shaped
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from eval.metrics import absolute, change, clip, dino, lpips, pixels, ssim, structure
from eval.metrics.box import box_iou
from eval.metrics.clip import Embedder, Tokenizer
from eval.metrics.regions import Protocol, Region, check_protocol
from eval.metrics.structure import KeyExtractor

Images = Float[Tensor, "n 3 h w"]
Mask = Shaped[Tensor, "#n 1 rows cols"] | None


@dataclass(frozen=True)
class Counts:
    """Images that gave a finite value, no value (NaN), and inf."""

    finite: int
    missing: int
    infinite: int


class PerImage(Metric):
    """One value per image; what the metrics below share.

    `higher_is_better`, `units`, `region` and `protocol` say what the numbers are.
    """

    higher_is_better: bool
    units: str
    is_differentiable = False
    full_state_update = False
    values: list[Tensor] | Tensor

    def __init__(self, *, region: str = "whole", protocol: str = "strict", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_protocol(protocol)
        if region not in (known := (*get_args(Region), "box")):
            raise ValueError(f"unknown region {region!r}; known: {', '.join(known)}")
        self.region, self.protocol = cast(Any, region), cast(Protocol, protocol)
        self.set_dtype(torch.float64)  # of the state alone: no network is registered yet
        self.add_state("values", default=[], dist_reduce_fx="cat")
        self._counts = Counts(0, 0, 0)

    def keep(self, values: Float[Tensor, " n"]) -> None:
        """Add one value per image."""
        self.values.append(values.detach().double().to(self.device))  # type: ignore[union-attr]

    def compute(self) -> Tensor:
        """Mean over the finite values of all processes; NaN if there is none."""
        values = dim_zero_cat(self.values) if len(self.values) else torch.zeros(0).double()
        finite = values[values.isfinite()]
        self._counts = Counts(
            len(finite), int(values.isnan().sum()), int(values.isinf().sum())
        )  # fmt: skip
        return finite.mean()

    @property
    def counts(self) -> Counts:
        """Over all processes, as `compute`."""
        self.compute()
        return self._counts


class MeanSquaredError(PerImage):
    """`eval.mean_squared_error`."""

    higher_is_better, units = False, "squared intensity, 0..1"

    def __init__(self, *, region: Region = "background", **kwargs: Any) -> None:
        super().__init__(region=region, **kwargs)

    def update(self, source: Images, edited: Images, mask: Mask = None) -> None:
        """Images in [0, 1]; the mask is True where edited."""
        self.keep(
            pixels.mean_squared_error(
                source, edited, mask=mask, region=self.region, protocol=self.protocol
            )
        )


class PeakSignalNoiseRatio(PerImage):
    """`eval.peak_signal_noise_ratio`; the mean of decibels."""

    higher_is_better, units = True, "dB"

    def __init__(self, *, region: Region = "background", **kwargs: Any) -> None:
        super().__init__(region=region, **kwargs)

    def update(self, source: Images, edited: Images, mask: Mask = None) -> None:
        """Images in [0, 1]; the mask is True where edited."""
        self.keep(
            pixels.peak_signal_noise_ratio(
                source, edited, mask=mask, region=self.region, protocol=self.protocol
            )
        )


class StructuralSimilarity(PerImage):
    """`eval.structural_similarity`."""

    higher_is_better, units = True, "SSIM, -1..1"

    def __init__(self, *, region: Region = "background", **kwargs: Any) -> None:
        super().__init__(region=region, **kwargs)

    def update(self, source: Images, edited: Images, mask: Mask = None) -> None:
        """Images in [0, 1]; the mask is True where edited."""
        self.keep(
            ssim.structural_similarity(
                source, edited, mask=mask, region=self.region, protocol=self.protocol
            )
        )


class LpipsDistance(PerImage):
    """`eval.lpips_distance` by an `lpips.LPIPS`."""

    higher_is_better, units = False, "LPIPS"

    def __init__(self, net: nn.Module, *, region: Region = "background", **kwargs: Any) -> None:
        super().__init__(region=region, **kwargs)
        self.net = net

    def update(self, source: Images, edited: Images, mask: Mask = None) -> None:
        """Images in [0, 1]; the mask is True where edited."""
        self.keep(
            lpips.lpips_distance(
                source, edited, mask=mask, net=self.net, region=self.region, protocol=self.protocol
            )
        )


class StructureDistance(PerImage):
    """`eval.structure_distance` by a timm ViT."""

    higher_is_better, units = False, "mean squared difference of cosines"

    def __init__(self, backbone: KeyExtractor | nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone

    def update(self, source: Images, edited: Images) -> None:
        """Images in [0, 1]."""
        self.keep(
            structure.structure_distance(
                source, edited, backbone=self.backbone, protocol=self.protocol
            )
        )


class ClipSimilarity(PerImage):
    """`eval.clip_similarity` by an open_clip model and its tokenizer, or an `Embedder`."""

    higher_is_better, units = True, "100 cos"

    def __init__(
        self,
        model: Embedder | nn.Module,
        tokenizer: Tokenizer | None = None,
        *,
        region: Region | Literal["crop"] = "whole",
        **kwargs: Any,
    ) -> None:
        super().__init__(region=region, **kwargs)
        self.model, self.tokenizer = model, tokenizer

    def update(self, images: Images, prompts: Sequence[str], mask: Mask = None) -> None:
        """Images in [0, 1] and a prompt each; the mask is True where edited."""
        self.keep(
            clip.clip_similarity(
                images, prompts, model=self.model, tokenizer=self.tokenizer, mask=mask,
                region=self.region, protocol=self.protocol,
            )
        )  # fmt: skip


class DirectionalSimilarity(PerImage):
    """`eval.directional_similarity` by an open_clip model and its tokenizer, or an `Embedder`."""

    higher_is_better, units = True, "cos"

    def __init__(
        self, model: Embedder | nn.Module, tokenizer: Tokenizer | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model, self.tokenizer = model, tokenizer

    def update(
        self, source: Images, edited: Images, source_texts: Sequence[str], prompts: Sequence[str]
    ) -> None:
        """Images in [0, 1], what each showed and what it should show."""
        self.keep(
            clip.directional_similarity(
                source, edited, source_texts=source_texts, prompts=prompts, model=self.model,
                tokenizer=self.tokenizer, protocol=self.protocol,
            )
        )  # fmt: skip


class MeanAbsoluteError(PerImage):
    """`eval.mean_absolute_error`, against the source or a target."""

    higher_is_better, units = False, "intensity, 0..1"

    def __init__(self, *, region: Region = "whole", **kwargs: Any) -> None:
        super().__init__(region=region, **kwargs)

    def update(self, first: Images, edited: Images, mask: Mask = None) -> None:
        """Images in [0, 1]; the mask is True where edited."""
        self.keep(absolute.mean_absolute_error(first, edited, mask=mask, region=self.region))


class DinoSimilarity(PerImage):
    """`eval.dino_similarity` by a timm ViT."""

    higher_is_better, units = True, "cos"

    def __init__(self, backbone: nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone

    def update(self, first: Images, edited: Images) -> None:
        """Images in [0, 1]."""
        self.keep(dino.dino_similarity(first, edited, backbone=self.backbone))


class WhereChanged(PerImage):
    """`eval.where_changed`, one aspect of it."""

    units = "share, 0..1"

    def __init__(
        self, aspect: change.Aspect, *, threshold: float = change.THRESHOLD, **kwargs: Any
    ) -> None:
        change.check_aspect(aspect, threshold)
        super().__init__(region="background" if "leak" in aspect else "edited", **kwargs)
        self.aspect, self.threshold = aspect, threshold

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """A hit, not a leak."""
        return self.aspect in ("hit", "auc")

    def update(self, source: Images, edited: Images, mask: Mask = None) -> None:
        """Images in [0, 1]; the mask is True where it was to change."""
        self.keep(
            change.where_changed(
                source, edited, mask=cast(Tensor, mask), aspect=self.aspect,
                threshold=self.threshold,
            )
        )  # fmt: skip


class BoxIou(PerImage):
    """`eval.box_iou`."""

    higher_is_better, units = True, "IoU, 0..1"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(region="box", **kwargs)

    def update(self, boxes: Real[Tensor, "n 4"], truth: Real[Tensor, "#n 4"]) -> None:
        """Half-open (left, top, right, bottom) pixels."""
        self.keep(box_iou(boxes.cpu(), truth.cpu()))
