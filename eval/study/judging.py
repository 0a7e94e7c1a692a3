"""All candidates of one task and one proposal set -> every metric that needs a network or a mask.

The judges take no part in choosing: none of them is the scoring CLIP. The source is embedded
once. Regions are the task's true box, the same for every candidate; where there is none, region
metrics are NaN (`add` has no region, photos have no truth).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, UInt8
from torch import Tensor

from eval.metrics.box import box_hit, box_iou
from eval.metrics.clip import Embedder, cosine, direction_cosine
from eval.metrics.lpips import lpips_distance
from eval.metrics.pixels import mean_squared_error, peak_signal_noise_ratio
from eval.metrics.ssim import structural_similarity
from eval.metrics.structure import KeyExtractor, structure_distance
from eval.metrics.success import LabelJudge, Verdict, edit_success
from lr_edit.types import Box, EditTask

LABELLED = tuple(field.name for field in fields(Verdict))
# What a table of judgements holds.
JUDGED = (
    "clip_whole", "clip_edited", "clip_directional", "clip_i", "lpips", "structure_distance",
    "background_mse", "background_psnr", "background_ssim", "iou", "hit",
    *LABELLED,
)  # fmt: skip


@dataclass(frozen=True)
class JudgeNets:
    """The networks that measure; where one is None its metrics are NaN.

    `structure_side` is the square in pixels that the structure judge sees: 224 for DINO, None for
    square images as they are.
    """

    clip: Embedder
    structure: KeyExtractor
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None
    labels: LabelJudge | None = None
    structure_side: int | None = None


@torch.no_grad()
def judge_candidates(
    source: UInt8[np.ndarray, "3 h w"],
    candidates: UInt8[np.ndarray, "points sizes 3 h w"],
    *,
    boxes: Integer[np.ndarray, "points sizes 4"],
    task: EditTask,
    judges: JudgeNets,
) -> dict[str, Float[np.ndarray, "points sizes"]]:
    """Metric -> (points, sizes) float64, for every name in `JUDGED`; NaN where undefined."""
    shape = candidates.shape[:2]
    before = _images(source[None])
    after = _images(candidates.reshape(-1, *candidates.shape[2:]))  # (points * sizes, 3, H, W)
    mask = _true_mask(task, before)
    high, wide = before.shape[2:]
    side = judges.structure_side or (None if high == wide else max(high, wide))  # of whole patches
    distance = structure_distance(before, after, backbone=judges.structure, side=side)
    flat = {
        **_clip_metrics(before, after, mask, task, judges.clip),
        **_background_metrics(before, after, mask, judges),
        **_box_metrics(boxes.reshape(-1, 4), task),
        **_label_metrics(before, after, boxes=boxes.reshape(-1, 4), task=task, judge=judges.labels),
        "structure_distance": distance.cpu().numpy(),
    }
    nothing = np.full(shape, np.nan)
    return {
        name: np.asarray(flat[name], float).reshape(shape) if name in flat else nothing
        for name in JUDGED
    }


def _images(pixels: UInt8[np.ndarray, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    return torch.from_numpy(pixels.astype(np.float32) / 255)


def _true_mask(task: EditTask, like: Float[Tensor, "1 3 h w"]) -> Bool[Tensor, "1 1 h w"] | None:
    """True inside the task's true box."""
    if task.truth is None or task.truth.box is None:
        return None
    mask = torch.zeros(1, 1, *like.shape[2:], dtype=torch.bool)
    left, top, right, bottom = task.truth.box.as_tuple()
    mask[:, :, top:bottom, left:right] = True
    return mask


def _clip_metrics(
    before: Float[Tensor, "1 3 h w"],
    after: Float[Tensor, "n 3 h w"],
    mask: Bool[Tensor, "1 1 h w"] | None,
    task: EditTask,
    clip: Embedder,
) -> dict[str, np.ndarray]:
    """The source's caption is the starting point of the direction, its source words if it has none.

    Everything is embedded in two calls, one of images and one of words.
    """
    masked = after[:0] if mask is None else after * mask
    seen = clip.embed_images(torch.cat([before, after, masked]))
    prompt, source_text = clip.embed_texts([task.prompt, task.caption or task.source]).split(1)
    source, whole, edited = seen.split([1, len(after), len(masked)])
    direction = direction_cosine(source, whole, source_text=source_text, prompt=prompt)
    values = {
        "clip_whole": 100 * cosine(whole, prompt),
        "clip_directional": direction,
        "clip_i": cosine(whole, source),
    }
    if mask is not None:
        values["clip_edited"] = 100 * cosine(edited, prompt)
    return {name: value.cpu().numpy() for name, value in values.items()}


def _background_metrics(
    before: Float[Tensor, "1 3 h w"],
    after: Float[Tensor, "n 3 h w"],
    mask: Bool[Tensor, "1 1 h w"] | None,
    judges: JudgeNets,
) -> dict[str, np.ndarray]:
    if mask is None:
        return {}
    values = {
        "background_mse": mean_squared_error(before, after, mask=mask),
        "background_psnr": peak_signal_noise_ratio(before, after, mask=mask),
        "background_ssim": structural_similarity(before, after, mask=mask),
    }
    if judges.perceptual is not None:
        values["lpips"] = lpips_distance(before, after, mask=mask, net=judges.perceptual)
    return {name: value.cpu().numpy() for name, value in values.items()}


def _box_metrics(boxes: Integer[np.ndarray, "n 4"], task: EditTask) -> dict[str, np.ndarray]:
    if task.truth is None or task.truth.box is None:
        return {}
    truth = np.array(task.truth.box.as_tuple())
    return {"iou": box_iou(boxes, truth), "hit": box_hit(boxes, truth)}


def _label_metrics(
    before: Float[Tensor, "1 3 h w"],
    after: Float[Tensor, "n 3 h w"],
    *,
    boxes: Integer[np.ndarray, "n 4"],
    task: EditTask,
    judge: LabelJudge | None,
) -> dict[str, np.ndarray]:
    wanted = task.truth is None or task.truth.wanted or task.category == "remove"
    if judge is None or not wanted:  # a place alone does not say what is to be seen there
        return {}
    painted = [Box(*box) for box in boxes.tolist()]
    verdicts = edit_success(
        before, after, boxes=painted, truth=task.truth, words=task.source, judge=judge
    )
    return {name: np.array([getattr(v, name) for v in verdicts]) for name in LABELLED}
