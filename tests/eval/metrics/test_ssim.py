"""SSIM against scikit-image, torchmetrics and a window-by-window writing in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as skimage_ssim
from torchmetrics.functional.image import structural_similarity_index_measure

from eval import structural_similarity


def pair(*, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    source = torch.rand(2, 3, height, width, generator=generator)
    noise = torch.rand(2, 3, height, width, generator=generator)
    return source, (0.7 * source + 0.3 * noise).clamp(0, 1)


def window_by_window(x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> float:
    """Wang et al. 2004, Eq. 13, for every 11x11 window that lies in the region; (3, H, W)."""
    line = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    weight = np.outer(line, line) / np.outer(line, line).sum()
    values = []
    for row in range(x.shape[1] - 10):
        for column in range(x.shape[2] - 10):
            at = np.s_[row : row + 11, column : column + 11]
            if not inside[at].all():
                continue
            for a, b in zip(x[:, at[0], at[1]], y[:, at[0], at[1]], strict=True):
                ma, mb = (weight * a).sum(), (weight * b).sum()
                va, vb = (weight * (a - ma) ** 2).sum(), (weight * (b - mb) ** 2).sum()
                cov = (weight * (a - ma) * (b - mb)).sum()
                top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
                values.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return float(np.mean(values)) if values else math.nan


@pytest.mark.parametrize(("height", "width"), [(11, 11), (24, 17), (33, 40)])
def test_it_equals_scikit_image_where_the_region_is_everything(height: int, width: int) -> None:
    source, edited = pair(height=height, width=width)
    want = [
        skimage_ssim(
            a.double().numpy(), b.double().numpy(), channel_axis=0, data_range=1.0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for a, b in zip(source, edited, strict=True)
    ]  # fmt: skip
    got = structural_similarity(source, edited, region="whole")
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9)
    nothing = torch.zeros(2, 1, height, width, dtype=torch.bool)
    assert structural_similarity(source, edited, mask=nothing).equal(got)


def test_it_agrees_with_torchmetrics_inside_the_frame() -> None:
    source, edited = pair(height=40, width=33)
    _, full = structural_similarity_index_measure(
        edited.double(), source.double(), data_range=1.0, return_full_image=True, reduction="none"
    )
    inner = full[..., 5:-5, 5:-5].mean((1, 2, 3))
    got = structural_similarity(source, edited, region="whole")
    np.testing.assert_allclose(got.numpy(), inner.numpy(), rtol=1e-6)


@pytest.mark.parametrize("region", ["background", "edited"])
def test_only_windows_inside_the_region_count(region: str) -> None:
    source, edited = pair(height=27, width=31)
    mask = torch.zeros(2, 1, 27, 31, dtype=torch.bool)
    mask[0, :, 3:16, 4:19] = True
    mask[1, :, 20:, 25:] = True  # too small for any window
    inside = mask if region == "edited" else ~mask
    want = [
        window_by_window(a.double().numpy(), b.double().numpy(), m[0].numpy())
        for a, b, m in zip(source, edited, inside, strict=True)
    ]
    got = structural_similarity(source, edited, mask=mask, region=region)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, equal_nan=True)
    assert bool(got[1].isnan()) == (region == "edited")


def test_identical_images_have_one_and_full_masks_leave_nothing() -> None:
    source, _ = pair(height=20, width=20)
    mask = torch.zeros(2, 1, 20, 20, dtype=torch.bool)
    np.testing.assert_allclose(
        structural_similarity(source, source.clone(), mask=mask).numpy(), 1.0
    )
    assert structural_similarity(source, source.clone(), mask=~mask).isnan().all()


def test_an_image_smaller_than_the_window_has_no_value() -> None:
    source, edited = pair(height=10, width=30)
    assert structural_similarity(source, edited, region="whole").isnan().all()
