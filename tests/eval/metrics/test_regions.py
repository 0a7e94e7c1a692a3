"""Masks and images are taken in one form each, and nothing is mended silently."""

from __future__ import annotations

import pytest
import torch

from eval.metrics.regions import as_mask, check_pair

IMAGES = torch.full((2, 3, 4, 5), 0.5)
MASK = torch.zeros(2, 1, 4, 5, dtype=torch.bool)


@pytest.mark.parametrize("mask", [MASK, MASK.float(), MASK.to(torch.uint8), MASK.long()])
def test_zeros_of_any_type_are_a_mask(mask: torch.Tensor) -> None:
    assert as_mask(mask).equal(MASK)


@pytest.mark.parametrize("high", [1, 255])
def test_one_and_255_mean_edited(high: int) -> None:
    mask = MASK.to(torch.uint8).clone()
    mask[0, 0, 1, 2] = high
    assert as_mask(mask).sum() == 1 and as_mask(mask)[0, 0, 1, 2]


@pytest.mark.parametrize("values", [[0, 1, 255], [0, 2, 0], [0.0, 0.5, 1.0], [-1, 0, 1]])
def test_other_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="a mask holds"):
        as_mask(torch.tensor(values).view(1, 1, 1, 3))


@pytest.mark.parametrize(
    ("source", "edited", "mask", "region", "protocol", "words"),
    [
        (IMAGES, IMAGES, MASK[..., :4], "background", "strict", "differ in size"),
        (IMAGES[..., :4], IMAGES, MASK, "background", "strict", "differ in size"),
        (IMAGES * 255, IMAGES, MASK, "background", "strict", "divide 8-bit"),
        (IMAGES, IMAGES * 3, MASK, "background", "strict", "divide 8-bit"),
        (IMAGES, IMAGES * float("nan"), MASK, "background", "strict", "lie in"),
        (IMAGES, IMAGES, None, "edited", "strict", "needs a mask"),
        (IMAGES, IMAGES, MASK, "whole", "lenient", "unknown protocol"),
    ],
)
def test_what_does_not_fit_is_refused(
    source: torch.Tensor, edited: torch.Tensor, mask: torch.Tensor | None,
    region: str, protocol: str, words: str,
) -> None:  # fmt: skip
    with pytest.raises(ValueError, match=words):
        check_pair(source, edited, mask=mask, region=region, protocol=protocol)  # type: ignore[arg-type]
