"""MSE and PSNR against a second writing in numpy and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio as skimage_psnr

from eval import mean_squared_error, peak_signal_noise_ratio


def pair(seed: int, *, height: int, width: int, count: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    source, edited = torch.rand(2, count, 3, height, width, generator=generator)
    mask = torch.rand(count, 1, height, width, generator=generator) < 0.3
    return source, edited, mask


def by_loops(source: torch.Tensor, edited: torch.Tensor, inside: torch.Tensor) -> float:
    """Pixel by pixel, in Python floats."""
    total, count = 0.0, 0
    before, after = source.tolist(), edited.tolist()
    for row, column in zip(*np.nonzero(inside.numpy()[0]), strict=True):
        for channel in range(3):
            gap = before[channel][row][column] - after[channel][row][column]
            total, count = total + gap * gap, count + 1
    return total / count if count else math.nan


@settings(max_examples=20)
@given(seed=st.integers(0, 99), height=st.integers(1, 9), width=st.integers(1, 9))
def test_mse_is_the_mean_over_the_regions_pixels(seed: int, height: int, width: int) -> None:
    source, edited, mask = pair(seed, height=height, width=width)
    got = {
        region: mean_squared_error(source, edited, mask=mask, region=region)
        for region in ("background", "edited", "whole")
    }
    inside = {"background": ~mask, "edited": mask, "whole": torch.ones_like(mask)}
    for region, values in got.items():
        want = [by_loops(*row) for row in zip(source, edited, inside[region], strict=True)]
        np.testing.assert_allclose(values.numpy(), want, rtol=1e-12, equal_nan=True)


def test_psnr_equals_scikit_image_on_the_whole_image() -> None:
    source, edited, _ = pair(1, height=33, width=21)
    want = [
        skimage_psnr(a.double().numpy(), b.double().numpy(), data_range=1.0)
        for a, b in zip(source, edited, strict=True)
    ]
    got = peak_signal_noise_ratio(source, edited, region="whole")
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)


def test_identical_pixels_have_infinite_psnr_and_no_error() -> None:
    source, _, mask = pair(2, height=9, width=7)
    assert peak_signal_noise_ratio(source, source.clone(), mask=mask).isposinf().all()
    assert (mean_squared_error(source, source.clone(), mask=mask) == 0).all()


@pytest.mark.parametrize(("value", "region"), [(True, "background"), (False, "edited")])
def test_an_empty_region_is_missing(value: bool, region: str) -> None:
    source, edited, mask = pair(3, height=6, width=6)
    nowhere = torch.full_like(mask, value)
    assert mean_squared_error(source, edited, mask=nowhere, region=region).isnan().all()
    assert peak_signal_noise_ratio(source, edited, mask=nowhere, region=region).isnan().all()


def test_changes_inside_the_edited_region_leave_the_background_alone() -> None:
    source, _, mask = pair(4, height=8, width=8)
    edited = torch.where(mask, 1 - source, source)
    assert (mean_squared_error(source, edited, mask=mask) == 0).all()
    assert (mean_squared_error(source, edited, mask=mask, region="edited") > 0).all()


def test_one_source_and_one_mask_stand_for_all_edits() -> None:
    source, edited, mask = pair(5, height=8, width=8, count=4)
    repeated = mean_squared_error(
        source[:1].expand(4, -1, -1, -1), edited, mask=mask[:1].expand(4, -1, -1, -1)
    )
    assert mean_squared_error(source[:1], edited, mask=mask[:1]).equal(repeated)
