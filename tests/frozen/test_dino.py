"""The anchor adapter against the model's own unfused attention, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch

from lr_edit.errors import UserError
from lr_edit.frozen.dino import Dino, load_dino
from lr_edit.picturebook import anchors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("anchors")
    anchors.export(anchors.build(), path)
    return path


@pytest.fixture(scope="module")
def dino(folder: Path) -> Dino:
    return load_dino(f"local-dir:{folder}")


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_attention_is_what_the_unfused_model_computes(dino: Dino) -> None:
    images = pictures(2, 3, 64, 64)
    last = dino.model.blocks[-1].attn
    caught: list[torch.Tensor] = []
    hook = last.attn_drop.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    last.fused_attn, fused = False, last.fused_attn
    dino.model.forward_features((images - 0.5) / 0.5)
    last.fused_attn = fused
    hook.remove()
    expected = caught[0].mean(1)[:, 0, 1:].view(2, 8, 8)
    torch.testing.assert_close(dino.attention(images), expected)


def test_rows_are_rows_and_columns_are_columns(dino: Dino) -> None:
    images = pictures(1, 3, 64, 128)
    assert dino.attention(images).shape == (1, 8, 16)
    assert dino.features(images).shape == (1, 128, 8, 16)
    changed = images.clone()
    changed[:, :, 16:24, 88:96] = 0  # the cell of row 2, column 11
    before, after = (dino.model.patch_embed(x).flatten(1, 2) for x in (images, changed))
    moved = (before - after).abs().sum(-1).view(8, 16)
    assert moved.flatten().argmax() == 2 * 16 + 11


def test_features_are_the_models_tokens_and_keys_hold_the_class_token(dino: Dino) -> None:
    images = pictures(1, 3, 64, 64)
    tokens = dino.model.forward_features((images - 0.5) / 0.5)
    torch.testing.assert_close(dino.features(images)[0, :, 3, 5], tokens[0, 1 + 3 * 8 + 5])
    keys = dino.keys(images)
    assert keys.shape == (1, 65, 128)
    x = dino.model.patch_embed((images - 0.5) / 0.5)
    x = dino.model._pos_embed(x)
    for block in dino.model.blocks[:-1]:
        x = block(x)
    last = dino.model.blocks[-1]
    torch.testing.assert_close(keys, last.attn.qkv(last.norm1(x))[..., 128:256])


def test_a_model_is_born_frozen(dino: Dino) -> None:
    assert not dino.model.training
    assert not any(weight.requires_grad for weight in dino.model.parameters())


@pytest.mark.parametrize(
    "images",
    [
        pictures(1, 3, 64, 64) * 255,
        pictures(1, 3, 64, 64) - 0.5,
        torch.full((1, 3, 64, 64), float("nan")),
        pictures(1, 3, 60, 64),
    ],
    ids=["0..255", "negative", "nan", "no multiple of the patch"],
)
def test_other_ranges_and_sides_are_refused(dino: Dino, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"lie in|multiples"):
        dino.attention(images)


def test_a_vit_with_registers_is_refused() -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1, reg_tokens=2)
    with pytest.raises(ValueError, match="registers"):
        Dino(model)


def test_missing_weights_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json is not there; get it with `dvc pull`"):
        load_dino(f"local-dir:{tmp_path}")


def test_corrupt_weights_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_dino(f"local-dir:{tmp_path}")


def test_weights_of_another_model_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["embed_dim"] = 64
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="cannot be loaded"):
        load_dino(f"local-dir:{tmp_path}")


def test_weights_of_the_hub_are_one_sentence_on_a_closed_machine() -> None:
    with pytest.raises(UserError, match="lr-edit models pull --profile"):
        load_dino("vit_base_patch8_224.dino")
