"""Every loader refuses weights that are not whole, by the tensor's name."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from lr_edit.errors import UserError
from lr_edit.frozen.clip import load_clip
from lr_edit.frozen.dino import load_dino
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.frozen.judge import load_judge
from lr_edit.frozen.perceptual import load_perceptual
from lr_edit.frozen.weights import loading

# A loader, and the files in its folder that hold weights.
LOADERS: dict[str, tuple[Callable, str]] = {
    "anchors": (load_dino, "model.safetensors"),
    "scoring-clip": (load_clip, "open_clip_model.safetensors"),
    "judge": (load_judge, "model.safetensors"),
    "perceptual": (load_perceptual, "model.safetensors"),
    "inpainter": (load_inpainter, "unet/diffusion_pytorch_model.safetensors"),
    "inpainter ": (load_inpainter, "vae/diffusion_pytorch_model.safetensors"),
    "inpainter  ": (load_inpainter, "text_encoder/model.safetensors"),
}

every_loader = pytest.mark.parametrize(
    "model", LOADERS, ids=[f"{m.strip()}-{f.split('/')[0]}" for m, (_, f) in LOADERS.items()]
)


def spoil(models: Path, to: Path, model: str, change: Callable[[dict], str]) -> tuple[str, str]:
    """A copy whose tensors were changed: its name for the loader, and the tensor's."""
    shutil.copytree(models / model.strip(), to)
    path = to / LOADERS[model][1]
    tensors = load_file(path)
    key = change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    return f"local-dir:{to}", key


def some(tensors: dict[str, torch.Tensor]) -> str:
    return next(key for key in sorted(tensors) if key.endswith("weight") and tensors[key].ndim > 1)


@every_loader
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_that_is_not_there_is_named(tiny_models: Path, tmp_path: Path, model: str) -> None:
    def drop(tensors: dict) -> str:
        del tensors[key := some(tensors)]
        return key

    name, key = spoil(tiny_models, tmp_path / "m", model, drop)
    with pytest.raises(UserError, match="weights") as caught:
        LOADERS[model][0](name)
    assert key.split(".", 1)[-1] in str(caught.value), caught.value


@every_loader
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_of_another_shape_is_named(tiny_models: Path, tmp_path: Path, model: str) -> None:
    def cut(tensors: dict) -> str:
        key = some(tensors)
        tensors[key] = tensors[key][:-1].contiguous()
        return key

    name, key = spoil(tiny_models, tmp_path / "m", model, cut)
    with pytest.raises(UserError, match="weights") as caught:
        LOADERS[model][0](name)
    assert key.split(".", 1)[-1] in str(caught.value), caught.value


@every_loader
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_that_holds_no_numbers_is_named(
    tiny_models: Path, tmp_path: Path, model: str, value: float
) -> None:
    def poison(tensors: dict) -> str:
        tensors[key := some(tensors)].view(-1)[3] = value
        return key

    name, key = spoil(tiny_models, tmp_path / "m", model, poison)
    with pytest.raises(UserError, match=r"holds 1 values of .* that are no numbers") as caught:
        LOADERS[model][0](name)
    assert key.split(".", 1)[-1] in str(caught.value), caught.value


def test_positions_of_another_rank_are_refused(tiny_models: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_models / "anchors", tmp_path / "anchors")
    tensors = load_file(folder / "model.safetensors")
    cut = tensors["pos_embed"].flatten()[:1].clone()
    save_file(tensors | {"pos_embed": cut}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"cannot be loaded .*get them with `dvc pull`"):
        load_dino(f"local-dir:{folder}")


def test_a_hub_that_does_not_answer_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its libraries try for most of a minute, for each name that a file may have."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(UserError, match=r"the hub cannot be reached, .* or `--from FOLDER` here"):
        load_dino("vit_base_patch8_224.dino")
    assert time.monotonic() - start < 20
    assert not constants.HF_HUB_OFFLINE


def test_weights_that_do_not_fit_the_memory_are_not_blamed(tmp_path: Path) -> None:
    with pytest.raises(MemoryError), loading(f"local-dir:{tmp_path}"):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")


@every_loader
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_a_weight_of_another_kind_of_number_is_named(
    tiny_models: Path, tmp_path: Path, model: str, kind: torch.dtype
) -> None:
    def cast(tensors: dict) -> str:
        key = some(tensors)
        tensors[key] = tensors[key].to(kind)
        return key

    name, key = spoil(tiny_models, tmp_path / "m", model, cast)
    with pytest.raises(UserError, match=f"{re.escape(key)}.* no floating-point number"):
        LOADERS[model][0](name)


def test_settings_that_are_nobody_s_are_refused(tiny_models: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_models / "inpainter", tmp_path / "m")
    (tmp_path / "m/scheduler/scheduler_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"scheduler_config\.json names no scheduler"):
        load_inpainter(f"local-dir:{tmp_path / 'm'}")
    (tmp_path / "m/model_index.json").write_text("[]")
    with pytest.raises(UserError, match=r"model_index\.json is no table"):
        load_inpainter(f"local-dir:{tmp_path / 'm'}")


def test_a_file_without_a_tensor_is_a_sentence(tiny_models: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_models / "scoring-clip", tmp_path / "m")
    save_file({}, tmp_path / "m/open_clip_model.safetensors")
    with pytest.raises(UserError, match=r"^weights "):
        load_clip(f"local-dir:{tmp_path / 'm'}")
