"""L1 and the DINO score against a second writing of MagicBrush's script."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from scipy.spatial.distance import cosine
from torchvision import transforms

from eval import dino_similarity, mean_absolute_error, mean_squared_error
from eval.metrics.classes import DinoSimilarity, MeanAbsoluteError

RNG = np.random.default_rng(5)
TARGET, EDIT = RNG.integers(0, 256, (2, 70, 90, 3), dtype=np.uint8)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]


@pytest.fixture(scope="module")
def vit() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(
            "vit_tiny_patch16_224", patch_size=32, embed_dim=24, depth=1, num_heads=3,
            num_classes=0,
        ).eval()  # fmt: skip


def test_l1_and_l2_are_magicbrushs() -> None:
    first, second = (transforms.ToTensor()(Image.fromarray(x)) for x in (TARGET, EDIT))
    l1 = torch.nn.L1Loss()(first, second).item()
    l2 = torch.nn.MSELoss()(first, second).item()
    pair = tensor(TARGET), tensor(EDIT)
    assert mean_absolute_error(*pair).item() == pytest.approx(l1, abs=1e-6)
    assert mean_squared_error(*pair, region="whole").item() == pytest.approx(l2, abs=1e-6)
    metric = MeanAbsoluteError()
    metric.update(*pair)
    assert metric.compute().item() == pytest.approx(l1, abs=1e-6)


def test_the_dino_score_is_magicbrushs(vit: torch.nn.Module) -> None:
    prepare = transforms.Compose([
        transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    with torch.no_grad():
        tokens = [
            vit.forward_features(prepare(Image.fromarray(x))[None])[0, 0].numpy()  # type: ignore[operator]
            for x in (TARGET, EDIT)
        ]
    want = 1 - cosine(*tokens)
    got = dino_similarity(tensor(TARGET), tensor(EDIT), backbone=vit).item()
    assert got == pytest.approx(want, abs=1e-5)
    metric = DinoSimilarity(vit)
    metric.update(tensor(TARGET), tensor(EDIT))
    assert metric.compute().item() == pytest.approx(want, abs=1e-5)
