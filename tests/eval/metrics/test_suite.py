"""The suite gives what the pure functions give, and names the networks that a protocol means."""

from __future__ import annotations

import math
from typing import Any

import lpips
import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from eval import (
    clip_similarity,
    dino_similarity,
    directional_similarity,
    image_similarity,
    lpips_distance,
    mean_absolute_error,
    mean_squared_error,
    peak_signal_noise_ratio,
    structural_similarity,
    structure_distance,
    where_changed,
)
from eval.metrics.networks import choose_weights, load_lpips, parse_weights, weights_digest
from eval.metrics.pair import Pair
from eval.metrics.registry import MEASURES
from eval.metrics.suite import DEFAULT, FAMILIES, SUITE, measure, select_metrics
from lr_edit.config import load_config
from lr_edit.errors import UserError
from lr_edit.frozen.hub import adopt, repository
from lr_edit.profiles import Weights
from tests.eval.networks import FakeClip, FakeDino, FakeLpips
from tests.source_tree import ROOT

RNG = np.random.default_rng(0)
SOURCE, EDITED = RNG.integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)
MASK = np.zeros((24, 32), bool)
MASK[2:9, 3:20] = True
TARGET = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
PAIR = Pair(SOURCE, EDITED, MASK, "a blue fish", "a red boat", TARGET)


def vit() -> torch.nn.Module:
    """A small ViT with a class token and random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3,
            num_classes=0,
        ).eval()  # fmt: skip


NETS = {"clip": FakeClip(), "structure": FakeDino(), "perceptual": FakeLpips(), "dino": vit()}


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]


def test_every_metric_gives_what_its_function_gives() -> None:
    values = measure(PAIR, SUITE, networks=NETS, protocol="strict")
    a, b, mask = tensor(SOURCE), tensor(EDITED), torch.from_numpy(MASK)[None, None]
    c = tensor(TARGET)
    clip: dict[str, Any] = {"model": NETS["clip"]}
    want = {
        "edited_psnr": peak_signal_noise_ratio(a, b, mask=mask, region="edited"),
        "background_ssim": structural_similarity(a, b, mask=mask),
        "lpips": lpips_distance(a, b, mask=mask, net=FakeLpips()),
        "whole_lpips": lpips_distance(a, b, region="whole", net=FakeLpips()),
        "structure_distance": structure_distance(a, b, backbone=FakeDino()),
        "clip_edited": clip_similarity(b, ["a blue fish"], mask=mask, region="edited", **clip),
        "clip_crop": clip_similarity(b, ["a blue fish"], mask=mask, region="crop", **clip),
        "clip_directional": directional_similarity(
            a, b, source_texts=["a red boat"], prompts=["a blue fish"], **clip
        ),
        "clip_i": image_similarity(a, b, **clip),
        "whole_l1": mean_absolute_error(a, b),
        "change_hit": where_changed(a, b, mask=mask, aspect="hit"),
        "change_auc": where_changed(a, b, mask=mask, aspect="auc"),
        "dino_i": dino_similarity(a, b, backbone=NETS["dino"]),
        "target_l1": mean_absolute_error(c, b),
        "target_l2": mean_squared_error(c, b, region="whole"),
        "target_clip_i": image_similarity(c, b, **clip),
        "target_dino": dino_similarity(c, b, backbone=NETS["dino"]),
        "clip_t": clip_similarity(b, ["a blue fish"], **clip) / 100,
        "target_clip_t": clip_similarity(c, ["a blue fish"], **clip) / 100,
    }
    for name, value in want.items():
        assert values[name] == pytest.approx(value.item(), rel=1e-6), name
    assert all(math.isfinite(values[name]) for name in SUITE if name != "edited_ssim")


def test_pictures_and_words_are_embedded_once() -> None:
    clip = FakeClip()
    names = [name for name, metric in SUITE.items() if metric.role == "clip"]
    measure(PAIR, names, networks={"clip": clip}, protocol="strict")
    assert clip.images_seen == 5  # source, edit, target, the edit on black, its region cut out


def test_a_target_is_compared_with_the_edit_as_it_was_saved() -> None:
    """MagicBrush's script: the edit at the target's size for L1 and L2, as it is for networks."""
    saved = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    pair = Pair(SOURCE, EDITED, None, None, None, TARGET, saved)
    got = measure(pair, ["target_l1", "target_clip_i"], networks=NETS, protocol="strict")
    fitted = np.asarray(Image.fromarray(saved).resize((32, 24))) / 255.0  # Pillow's default
    assert got["target_l1"] == pytest.approx(np.abs(fitted - TARGET / 255.0).mean(), rel=1e-6)
    want = image_similarity(tensor(TARGET), tensor(saved), model=NETS["clip"])
    assert got["target_clip_i"] == pytest.approx(want.item(), rel=1e-6)


def test_what_the_pair_lacks_is_missing() -> None:
    values = measure(Pair(SOURCE, EDITED), SUITE, networks=NETS, protocol="strict")
    there = {name for name, value in values.items() if not math.isnan(value)}
    alone = {"structure_distance", "clip_i", "dino_i"}
    assert there == alone | {n for n in SUITE if n.startswith("whole_")}


def test_metrics_are_named_alone_or_as_a_family() -> None:
    assert select_metrics(["ssim", " whole_ssim", "lpips"]) == (
        "background_ssim",
        "whole_ssim",
        "lpips",
    )
    assert {name for names in FAMILIES.values() for name in names} <= set(SUITE)
    measured = {m.key for m in MEASURES if m.group in ("Structure", "Background", "CLIP")}
    assert measured <= set(DEFAULT)
    with pytest.raises(UserError, match="did you mean 'clip_whole'"):
        select_metrics(["clip_hole"])


def test_pie_bench_names_its_networks_and_the_user_may_name_others() -> None:
    config = load_config(ROOT / "params.yaml", profile="sd2")
    own: dict[str, str | None] = {"clip": "ViT-B-32:openai", "structure": None}
    strict = choose_weights(config.models, protocol="strict", options={})
    pie = choose_weights(config.models, protocol="pie-bench", options=own)
    assert strict["perceptual"].name == "alex" and pie["perceptual"].name == "squeeze"
    assert strict["clip"] == config.models.judges.clip
    assert (pie["clip"].name, pie["clip"].pretrained) == ("ViT-B-32", "openai")
    assert pie["structure"].name == "vit_base_patch8_224.dino"
    drawn = load_config(ROOT / "params.yaml", profile="picturebook").models
    assert choose_weights(drawn, protocol="pie-bench", options={})["clip"] == drawn.judges.clip
    assert parse_weights("local-dir:here").name.endswith("/here")


def test_a_trunk_that_is_not_here_is_not_downloaded(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match="connected machine"):
        load_lpips(tmp_path, Weights(name="squeeze"))


@pytest.mark.long
def test_vgg_measures_with_the_trunk_of_the_hub(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights under torchvision's names, adopted as by `models pull --from`; lpips' own heads."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UserError, match="connected machine"):
        load_lpips(tmp_path, Weights(name="vgg"))
    net = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    trunk = {f"features.{k.split('.', 1)[1]}": v for k, v in net.net.state_dict().items()}
    given = tmp_path / "given/timm/vgg16.tv_in1k"
    given.mkdir(parents=True)
    save_file(trunk, given / "model.safetensors")
    one = repository("judge perceptual", Weights(name="vgg"))
    assert one and not repository("judge perceptual", Weights(name="alex"))
    adopt(one, tmp_path / "given")
    found = load_lpips(tmp_path, Weights(name="vgg"))
    pair = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(found(*pair), net(*pair)) and float(found(*pair)) > 0
    assert weights_digest(found) == weights_digest(net)


def test_a_digest_knows_every_weight() -> None:
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    assert weights_digest(one) != weights_digest(other)
    other.load_state_dict(one.state_dict())
    assert weights_digest(one) == weights_digest(other)
