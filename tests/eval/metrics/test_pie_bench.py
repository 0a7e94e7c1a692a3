"""The pie-bench protocol against a second writing of its source in numpy and torchmetrics."""

from __future__ import annotations

from typing import Any, cast

import lpips
import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torchmetrics_psnr,
)
from torchmetrics.functional.image import structural_similarity_index_measure
from torchvision.transforms import Normalize, Resize

from eval import (
    clip_similarity,
    lpips_distance,
    mean_squared_error,
    peak_signal_noise_ratio,
    structural_similarity,
    structure_distance,
)
from eval.metrics import pie_bench
from eval.metrics.regions import Region
from tests.eval.networks import FakeClip, FakeDino

RUNS = st.lists(st.tuples(st.integers(0, 63), st.integers(0, 80)), max_size=6)
REGIONS: tuple[Region, ...] = ("background", "edited", "whole")


def pair(*, height: int = 41, width: int = 29) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """8-bit pictures, a mask of a few odd pixels, one that covers all, and one that is empty."""
    generator = torch.Generator().manual_seed(height)
    source, edited = (
        torch.randint(256, (3, 3, height, width), generator=generator) / 255 for _ in range(2)
    )
    mask = torch.zeros(3, 1, height, width, dtype=torch.bool)
    mask[0, :, 3:5, 7:8], mask[1] = True, True
    return source, (0.5 * source + 0.5 * edited).clamp(0, 1), mask


def filled(
    images: torch.Tensor, mask: torch.Tensor, region: Region
) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, 3) float64, zero outside the region, and how many pixels each region has."""
    inside = {"background": ~mask, "edited": mask, "whole": torch.ones_like(mask)}[region]
    weights = inside.double().numpy().transpose(0, 2, 3, 1)
    return images.double().numpy().transpose(0, 2, 3, 1) * weights, weights.sum((1, 2, 3))


def each_region(source: torch.Tensor, edited: torch.Tensor, mask: torch.Tensor) -> Any:
    for region in REGIONS:
        (a, count), (b, _) = filled(source, mask, region), filled(edited, mask, region)
        yield region, a, b, count


@given(RUNS)
def test_a_mask_is_what_its_runs_fill(runs: list[tuple[int, int]]) -> None:
    filled = [0] * 64
    for start, length in runs:
        for at in range(start, min(start + length, 64)):
            filled[at] = 1
    flat = [number for run in runs for number in run]
    got = pie_bench.decode_mask(flat, side=8, ring=False)
    assert got.astype(int).flatten().tolist() == filled
    add_ring = pie_bench.decode_mask(flat, side=8)
    assert (
        add_ring[0].all() and add_ring[-1].all() and add_ring[:, 0].all() and add_ring[:, -1].all()
    )
    assert (add_ring[1:-1, 1:-1] == got[1:-1, 1:-1]).all()


@given(st.lists(st.booleans(), min_size=36, max_size=36))
def test_every_mask_has_runs_that_give_it_back(filled: list[bool]) -> None:
    mask = np.array(filled).reshape(6, 6)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.flatten().astype(int), [0]])))
    runs = np.stack([edges[::2], edges[1::2] - edges[::2]], 1).flatten().tolist()
    assert (pie_bench.decode_mask(runs, side=6, ring=False) == mask).all()


@pytest.mark.parametrize("runs", [[1], [-1, 2], [3, -1], [65, 1]])
def test_runs_that_mean_nothing_are_refused(runs: list[int]) -> None:
    with pytest.raises(ValueError, match=r"length|does not lie"):
        pie_bench.decode_mask(runs, side=8)


def test_runs_are_row_major() -> None:
    assert pie_bench.decode_mask([512 * 3 + 5, 2], ring=False).nonzero()[0].tolist() == [3, 3]


def test_mse_runs_over_the_whole_frame() -> None:
    source, edited, mask = pair()
    for region, a, b, count in each_region(source, edited, mask):
        want = np.where(count > 0, ((a - b) ** 2).mean((1, 2, 3)), np.nan)
        got = mean_squared_error(source, edited, mask=mask, region=region, protocol="pie-bench")
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, equal_nan=True)


def test_psnr_is_higher_by_the_share_of_the_region_and_equals_torchmetrics() -> None:
    source, edited, mask = pair()
    for region, a, b, count in each_region(source, edited, mask):
        got = peak_signal_noise_ratio(
            source, edited, mask=mask, region=region, protocol="pie-bench"
        )
        strict = peak_signal_noise_ratio(source, edited, mask=mask, region=region)
        for row in range(3):
            if not count[row]:
                assert got[row].isnan()
                continue
            want = torchmetrics_psnr(
                torch.from_numpy(a[row]), torch.from_numpy(b[row]), data_range=1.0
            )
            assert got[row].item() == pytest.approx(want.item(), rel=1e-6)
            inflated = strict[row] + 10 * np.log10(a[row].size / 3 / count[row])
            assert got[row].item() == pytest.approx(inflated.item(), rel=1e-9)


@pytest.mark.parametrize(("height", "width"), [(41, 29), (9, 12), (6, 6)])
def test_ssim_equals_torchmetrics_border_and_all(height: int, width: int) -> None:
    source, edited, mask = pair(height=height, width=width)
    for region, a, b, count in each_region(source, edited, mask):
        got = structural_similarity(source, edited, mask=mask, region=region, protocol="pie-bench")
        first, second = (torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in (a, b))
        found: Any = structural_similarity_index_measure(
            first, second, data_range=1.0, reduction="none"
        )
        want = np.where(count > 0, found.numpy(), np.nan)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-6, equal_nan=True)


def test_an_image_too_small_to_reflect_has_no_ssim() -> None:
    tiny = torch.rand(2, 3, 5, 9)
    assert structural_similarity(tiny, tiny, region="whole", protocol="pie-bench").isnan().all()


def test_identical_images_are_perfect() -> None:
    source, _, mask = pair()
    mask = mask[:1]
    same = source[:1].clone()
    how: Any = {"protocol": "pie-bench"}
    assert mean_squared_error(source[:1], same, mask=mask, **how).item() == 0
    assert peak_signal_noise_ratio(source[:1], same, mask=mask, **how).isposinf()
    assert structural_similarity(source[:1], same, mask=mask, **how).item() == pytest.approx(1)


def test_lpips_sees_the_zero_filled_pair() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = lpips.LPIPS(
            pretrained=False, net="squeeze", lpips=False, pnet_rand=True, verbose=False
        ).eval()
    source, edited, mask = pair(height=64, width=49)
    for region, a, b, count in each_region(source, edited, mask):
        got = lpips_distance(
            source, edited, mask=mask, region=region, protocol="pie-bench", net=net
        ).numpy()
        first, second = (torch.from_numpy(x.transpose(0, 3, 1, 2)).float() for x in (a, b))
        want = np.where(count > 0, net(2 * first - 1, 2 * second - 1).detach().flatten(), np.nan)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-7, equal_nan=True)


def vit(**options: Any) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(
            "vit_tiny_patch16_224", patch_size=16, embed_dim=24, depth=2, num_heads=3,
            num_classes=0, **options,
        ).eval()  # fmt: skip


def structure_by_the_book(source: torch.Tensor, edited: torch.Tensor, model: nn.Module) -> float:
    """One 8-bit picture each, as floats 0..255: LossG of the published calculator."""
    prepare = nn.Sequential(
        Resize(224, max_size=480), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    maps, caught = [], list[torch.Tensor]()
    qkv = cast(Any, model).blocks[-1].attn.qkv
    hook = qkv.register_forward_hook(lambda _m, _i, out: caught.append(out))
    for image in (source, edited):
        x = prepare(255 * image[None])
        model(x[..., : x.shape[2] // 16 * 16, : x.shape[3] // 16 * 16])
        keys = caught.pop()[0].reshape(-1, 3, 3, 8).permute(1, 2, 0, 3)[1]  # (heads, t, d)
        joined = keys.transpose(0, 1).reshape(-1, 24)
        norm = joined.norm(dim=1, keepdim=True)
        maps.append(joined @ joined.T / (norm @ norm.T).clamp(min=1e-8))
    hook.remove()
    return F.mse_loss(*maps).item()


@pytest.mark.parametrize(
    ("height", "width", "dynamic"), [(48, 48, False), (40, 64, True), (20, 90, True)]
)
def test_structure_distance_feeds_0_to_255(height: int, width: int, dynamic: bool) -> None:
    source, edited, _ = pair(height=height, width=width)
    model = vit(dynamic_img_size=dynamic)
    got = structure_distance(source, edited, backbone=model, protocol="pie-bench").numpy()
    want = [structure_by_the_book(a, b, model) for a, b in zip(source, edited, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-3)
    assert not np.allclose(got, structure_distance(source, edited, backbone=model).numpy())


def test_a_backbone_that_cannot_follow_says_so() -> None:
    source, edited, _ = pair(height=40, width=64)
    with pytest.raises(ValueError, match="dynamic_img_size"):
        structure_distance(source, edited, backbone=vit(), protocol="pie-bench")
    with pytest.raises(ValueError, match="timm ViT"):
        structure_distance(source, edited, backbone=FakeDino(), protocol="pie-bench")


def test_clip_similarity_is_clamped_and_an_empty_region_is_missing() -> None:
    class Contrary(FakeClip):
        def embed_texts(self, texts: list[str]) -> torch.Tensor:
            return -self.embed_images(edited[: len(texts)])

    _, edited, mask = pair()
    how: Any = {"model": Contrary(), "protocol": "pie-bench"}
    assert (clip_similarity(edited, ["a", "b", "c"], **how) == 0).all()
    shown = clip_similarity(
        edited, ["a"], **how | {"model": FakeClip()}, mask=mask, region="edited"
    )
    black = clip_similarity(edited * mask, ["a"], model=FakeClip())
    np.testing.assert_allclose(shown[:2].numpy(), black[:2].clamp(min=0).numpy())
    assert shown[2].isnan()


def test_prompts_strips_and_jpegs_are_taken_as_published() -> None:
    assert pie_bench.strip_brackets("a [red] cat [on] a mat") == "a red cat on a mat"
    strip = np.random.default_rng(0).integers(0, 256, (16, 64, 3), dtype=np.uint8)
    assert (pie_bench.strip_square(strip, side=16) == strip[:, 48:]).all()
    assert pie_bench.strip_square(strip[:, :16], side=8).shape == (16, 16, 3)
    assert pie_bench.strip_square(strip[:, :25], side=16).shape == (16, 25, 3)  # no strip
    once = pie_bench.jpeg_75(strip)
    assert once.shape == strip.shape and (once != strip).any()
