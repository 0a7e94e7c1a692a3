"""LPIPS: range, compositing and empty regions; the lpips package itself as the reference."""

from __future__ import annotations

import lpips
import pytest
import torch

from eval import lpips_distance
from tests.eval.networks import FakeLpips

GENERATOR = torch.Generator().manual_seed(0)
SOURCE, EDITED = torch.rand(2, 2, 3, 64, 64, generator=GENERATOR)
MASK = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
MASK[:, :, 10:30, 5:50] = True


@pytest.fixture(scope="module")
def net() -> lpips.LPIPS:
    """The real class with a random trunk: no weights needed."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = lpips.LPIPS(
            pretrained=False, net="squeeze", lpips=False, pnet_rand=True, verbose=False
        )
    return made.eval()


def test_the_whole_image_equals_the_package(net: lpips.LPIPS) -> None:
    got = lpips_distance(SOURCE, EDITED, region="whole", net=net)
    want = net(SOURCE, EDITED, normalize=True).flatten()
    torch.testing.assert_close(got, want.double(), rtol=1e-5, atol=1e-7)


def test_the_background_ignores_what_was_edited(net: lpips.LPIPS) -> None:
    inside = torch.where(MASK, EDITED, SOURCE)
    assert (lpips_distance(SOURCE, inside, mask=MASK, net=net) == 0).all()
    outside = torch.where(MASK, SOURCE, EDITED)
    got = lpips_distance(SOURCE, EDITED, mask=MASK, net=net)
    want = net(SOURCE, outside, normalize=True).flatten()
    torch.testing.assert_close(got, want.double(), rtol=1e-5, atol=1e-7)


def test_the_network_is_fed_minus_one_to_one() -> None:
    fake = FakeLpips()
    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    assert lpips_distance(black, white, region="whole", net=fake).item() == 2
    assert {float(image.unique()) for image in fake.seen} == {-1.0, 1.0}


def test_an_empty_region_is_missing_and_others_are_not() -> None:
    mask = torch.stack([torch.ones_like(MASK[0]), MASK[1]])
    got = lpips_distance(SOURCE, EDITED, mask=mask, net=FakeLpips())
    assert got.isnan().tolist() == [True, False]


def test_one_source_stands_for_all_edits() -> None:
    got = lpips_distance(SOURCE[:1], EDITED, mask=MASK[:1], net=FakeLpips())
    assert got[1] == lpips_distance(SOURCE[:1], EDITED[1:], mask=MASK[1:], net=FakeLpips())[0]


@pytest.mark.parametrize("size", [(67, 91), (64, 65)])
def test_odd_sizes_and_tiny_masks_equal_the_package(
    net: lpips.LPIPS, size: tuple[int, int]
) -> None:
    source, edited = torch.rand(2, 1, 3, *size, generator=torch.Generator().manual_seed(4))
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    mask[..., 3, 5] = True  # one pixel
    for region, shown in {
        "background": torch.where(mask, source, edited),
        "edited": torch.where(mask, edited, source),
    }.items():
        got = lpips_distance(source, edited, mask=mask, net=net, region=region)
        want = net(source, shown, normalize=True).flatten()
        torch.testing.assert_close(got, want.double(), rtol=1e-4, atol=1e-7)
    assert lpips_distance(source, source.clone(), mask=mask, net=net).item() == 0
