"""Structure distance against a second writing in numpy, with a small real timm ViT."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from eval import structure_distance
from tests.eval.networks import FakeDino

SOURCE, EDITED = torch.rand(2, 2, 3, 48, 48, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3,
            num_classes=0, dynamic_img_size=True,
        )  # fmt: skip
    return made.eval()


def in_numpy(a: np.ndarray, b: np.ndarray) -> float:
    """Keys (tokens, C) of two images -> mean squared difference of their cosine matrices."""
    total = 0.0
    for i in range(len(a)):
        for j in range(len(a)):
            cosines = [
                k[i] @ k[j] / np.sqrt((k[i] @ k[i]) * (k[j] @ k[j]))
                for k in (a.astype(float), b.astype(float))
            ]
            total += (cosines[0] - cosines[1]) ** 2
    return total / len(a) ** 2


def test_it_equals_the_definition_over_any_keys() -> None:
    keys = [FakeDino().keys(images).numpy() for images in (SOURCE, EDITED)]
    want = [in_numpy(a, b) for a, b in zip(*keys, strict=True)]
    got = structure_distance(SOURCE, EDITED, backbone=FakeDino())
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-3, atol=1e-9)


def test_a_bare_timm_model_is_resized_to_its_own_side_and_keeps_the_class_token(
    vit: nn.Module,
) -> None:
    caught: list[torch.Tensor] = []
    hook = vit.blocks[-1].attn.qkv.register_forward_hook(  # type: ignore[union-attr,index]
        lambda _module, _inputs, output: caught.append(output.chunk(3, dim=-1)[1])
    )
    got = structure_distance(SOURCE, EDITED, backbone=vit)
    hook.remove()
    edited_keys, source_keys = caught[0], caught[-1]
    assert edited_keys.shape == (2, 17, 24)  # 4x4 patches of 8 in 32 pixels, and the class token
    rows = zip(source_keys.numpy(), edited_keys.numpy(), strict=True)
    np.testing.assert_allclose(got.numpy(), [in_numpy(a, b) for a, b in rows], rtol=1e-3)


def test_identical_images_have_no_distance_and_one_source_stands_for_all() -> None:
    assert (structure_distance(SOURCE, SOURCE.clone(), backbone=FakeDino()) == 0).all()
    got = structure_distance(SOURCE[:1], EDITED, backbone=FakeDino())
    torch.testing.assert_close(
        got[1:], structure_distance(SOURCE[:1], EDITED[1:], backbone=FakeDino())
    )


def test_the_backbone_sees_the_side_that_is_asked_for() -> None:
    odd = torch.rand(1, 3, 37, 53, generator=torch.Generator().manual_seed(5))
    with pytest.raises(AssertionError):
        structure_distance(odd, odd, backbone=FakeDino())
    assert structure_distance(odd, odd, backbone=FakeDino(), side=64).item() == 0
