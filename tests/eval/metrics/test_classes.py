"""The metric classes: what the pure functions say, averaged, counted, moved, reset and synced."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import lpips
import numpy as np
import open_clip
import pytest
import timm
import torch
from torchmetrics import Metric

from eval import (
    clip_similarity,
    directional_similarity,
    lpips_distance,
    mean_squared_error,
    peak_signal_noise_ratio,
    structural_similarity,
    structure_distance,
)
from eval.metrics.classes import (
    BoxIou,
    ClipSimilarity,
    Counts,
    DirectionalSimilarity,
    LpipsDistance,
    MeanSquaredError,
    PeakSignalNoiseRatio,
    PerImage,
    StructuralSimilarity,
    StructureDistance,
)
from tests.eval.networks import FakeClip

SOURCE, EDITED = torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
MASK = torch.zeros(4, 1, 32, 32, dtype=torch.bool)
MASK[:, :, 4:9, 3:30] = True
WORDS, PROMPTS = ["a red boat"] * 4, ["a blue fish"] * 4
PROTOCOLS = ("strict", "pie-bench")
PIXELS = {
    MeanSquaredError: mean_squared_error,
    PeakSignalNoiseRatio: peak_signal_noise_ratio,
    StructuralSimilarity: structural_similarity,
}


@pytest.fixture(scope="module")
def nets() -> dict[str, Any]:
    """Plain models of each library, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        clip = open_clip.CLIP(
            16,
            open_clip.CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=8, image_size=32),
            open_clip.CLIPTextCfg(context_length=77, width=16, heads=2, layers=1),
        )
        vit = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, embed_dim=24, depth=2, num_heads=3, num_classes=0
        )
        net = lpips.LPIPS(pretrained=False, net="alex", lpips=False, pnet_rand=True, verbose=False)
    return {
        "clip": clip.eval(), "words": open_clip.SimpleTokenizer(), "vit": vit.eval(), "lpips": net,
    }  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", PIXELS)
def test_two_batches_give_the_mean_of_the_pure_function(kind: Any, protocol: Any) -> None:
    metric = kind(protocol=protocol)
    metric.update(SOURCE[:1], EDITED[:1], MASK[:1])
    metric.update(SOURCE[1:], EDITED[1:], MASK[1:])
    want = PIXELS[kind](SOURCE, EDITED, mask=MASK, protocol=protocol)
    assert metric.compute().item() == pytest.approx(want.mean().item(), rel=1e-12)
    assert metric.counts == Counts(int(want.isfinite().sum()), int(want.isnan().sum()), 0)
    metric.reset()
    metric.update(SOURCE[:1], EDITED[:1], MASK[:1])
    assert metric.compute().item() == pytest.approx(want[0].item(), rel=1e-12)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_networks_give_what_the_pure_functions_give(nets: dict[str, Any], protocol: Any) -> None:
    clip: dict[str, Any] = {"model": nets["clip"], "tokenizer": nets["words"]}
    how: dict[str, Any] = {"protocol": protocol}
    seen = LpipsDistance(nets["lpips"], **how)
    seen.update(SOURCE.repeat(1, 1, 2, 2), EDITED.repeat(1, 1, 2, 2), MASK.repeat(1, 1, 2, 2))
    want = lpips_distance(
        SOURCE.repeat(1, 1, 2, 2), EDITED.repeat(1, 1, 2, 2), mask=MASK.repeat(1, 1, 2, 2),
        net=nets["lpips"], **how,
    )  # fmt: skip
    assert seen.compute().item() == pytest.approx(want.mean().item(), rel=1e-6)
    structure = StructureDistance(nets["vit"], **how)
    structure.update(SOURCE, EDITED)
    want = structure_distance(SOURCE, EDITED, backbone=nets["vit"], **how)
    assert structure.compute().item() == pytest.approx(want.mean().item(), rel=1e-6)
    similar = ClipSimilarity(nets["clip"], nets["words"], region="edited", **how)
    similar.update(EDITED, PROMPTS, MASK)
    want = clip_similarity(EDITED, PROMPTS, mask=MASK, region="edited", **clip, **how)
    assert similar.compute().item() == pytest.approx(want.mean().item(), rel=1e-6)
    direction = DirectionalSimilarity(nets["clip"], nets["words"], **how)
    direction.update(SOURCE, EDITED, WORDS, PROMPTS)
    want = directional_similarity(SOURCE, EDITED, source_texts=WORDS, prompts=PROMPTS, **clip)
    assert direction.compute().item() == pytest.approx(want.mean().item(), rel=1e-6)


def test_what_is_missing_or_infinite_is_counted_and_left_out_of_the_mean() -> None:
    metric, edited, mask = PeakSignalNoiseRatio(), EDITED.clone(), MASK.clone()
    edited[0], mask[1] = SOURCE[0], True
    metric.update(SOURCE, edited, mask)
    assert metric.counts == Counts(finite=2, missing=1, infinite=1)
    want = peak_signal_noise_ratio(SOURCE[2:], edited[2:], mask=mask[2:]).mean()
    assert metric.compute().item() == pytest.approx(want.item())


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
def test_nothing_has_no_mean() -> None:
    metric = MeanSquaredError()
    assert metric.compute().isnan() and metric.counts == Counts(0, 0, 0)


def test_processes_are_joined_image_by_image() -> None:
    """Two processes of unequal shares, joined as torchmetrics joins them."""
    there = MeanSquaredError()
    there.update(SOURCE[3:], EDITED[3:], MASK[3:])
    here = MeanSquaredError(
        dist_sync_fn=lambda share, group: [share, there.values[0]],
        distributed_available_fn=lambda: True,
    )
    here.update(SOURCE[:3], EDITED[:3], MASK[:3])
    want = mean_squared_error(SOURCE, EDITED, mask=MASK)
    assert here.compute().item() == pytest.approx(want.mean().item(), rel=1e-12)
    assert here.counts.finite == 4


def test_moving_moves_the_network_too(nets: dict[str, Any]) -> None:
    metric = LpipsDistance(deepcopy(nets["lpips"])).to("meta")
    assert metric.device.type == "meta"
    assert {p.device.type for p in metric.net.parameters()} == {"meta"}


def test_boxes_are_compared() -> None:
    boxes = BoxIou()
    boxes.update(torch.tensor([[0, 0, 4, 2], [4, 0, 8, 2]]), torch.tensor([[0, 0, 4, 2]]))
    assert boxes.compute().item() == 0.5


def test_every_class_says_what_it_is() -> None:
    kinds = PerImage.__subclasses__()
    assert len(kinds) == 11 and all(issubclass(kind, Metric) for kind in kinds)
    for kind in kinds:
        assert isinstance(kind.higher_is_better, bool | property) and kind.units
    metric = ClipSimilarity(FakeClip(), region="edited", protocol="pie-bench")
    assert (metric.region, metric.protocol) == ("edited", "pie-bench")
    assert [MeanSquaredError().region, BoxIou().region] == ["background", "box"]
    with pytest.raises(ValueError, match="unknown protocol"):
        MeanSquaredError(protocol="lenient")


def test_one_call_gives_the_batch_and_keeps_it() -> None:
    metric = StructuralSimilarity(region="whole")
    batch = metric(SOURCE[:2], EDITED[:2])
    assert math.isclose(
        batch.item(), structural_similarity(SOURCE[:2], EDITED[:2], region="whole").mean().item()
    )
    metric(SOURCE[2:], EDITED[2:])
    want = structural_similarity(SOURCE, EDITED, region="whole").mean().item()
    np.testing.assert_allclose(metric.compute().item(), want)
