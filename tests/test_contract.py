"""Every real profile loads from the hub's own layout through the production path, and inpaints.

Full-size configurations with weights of no meaning: fp16, sharded for SDXL, under timm's and
open_clip's names. `pytest -m slow tests/test_contract.py`: minutes, 16 GiB. SDXL's deepest stage
has one transformer block of ten.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import timm
import torch
from diffusers import AutoencoderTiny
from huggingface_hub import constants
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file

from lr_edit.config import load_config
from lr_edit.frozen.clip import Clip
from lr_edit.frozen.hub import adopt, repositories
from lr_edit.frozen.models import load_models
from lr_edit.types import Sampler
from tests.hub_layout import write_sd, write_sdxl
from tests.source_tree import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),
]
WRITERS = {
    "sd2": lambda folder: write_sd(folder, text=1024, full=True),
    "sd15": lambda folder: write_sd(folder, text=768, full=True),
    "sdxl": lambda folder: write_sdxl(folder, full=True, shard="1GB"),
}


def write_tiny(folder: Path) -> None:
    """TAESD is what the class builds by default."""
    AutoencoderTiny().half().save_pretrained(folder)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DINO and CLIP, the same for every profile."""
    folder = tmp_path_factory.mktemp("towers")
    dino = timm.create_model("vit_base_patch8_224", num_classes=0)
    home = folder / "timm/vit_base_patch8_224.dino"
    home.mkdir(parents=True)
    save_file(dino.state_dict(), home / "model.safetensors")
    clip = open_clip.create_model("ViT-B-16-quickgelu")
    home = folder / "timm/vit_base_patch16_clip_224.openai"
    home.mkdir()
    save_file(clip.state_dict(), home / "open_clip_model.safetensors")
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_a_profile_loads_from_the_hubs_layout_and_takes_a_step(
    tmp_path: Path, towers: Path, monkeypatch, name: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    profile = load_config(ROOT / "params.yaml").profiles[name]
    judge = profile.judges.clip.name
    (tmp_path / "given").symlink_to(towers)
    for one in repositories(profile):
        if one.kind == "diffusers":
            write = write_tiny if "taesd" in one.name else WRITERS[name]
            write(tmp_path / "inpainter" / one.name)
            adopt(one, tmp_path / "inpainter")
        elif "large" not in one.name:  # the judge's CLIP loads as the scoring CLIP's
            adopt(one, tmp_path / "given")
    assert judge != profile.clip.name
    models = load_models(ROOT, profile)

    seen = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    assert models.anchors.attention(seen).shape == (1, 32, 32)
    assert models.anchors.features(seen).shape == (1, 768, 32, 32)
    assert models.clip.embed_images(seen).shape == (1, 512)
    assert models.clip.embed_texts(["a boat"]).shape == (1, 512)
    assert isinstance(models.clip, Clip)
    assert any(isinstance(part, QuickGELU) for part in models.clip.model.modules())

    masks = torch.zeros(1, 1, 128, 128, dtype=torch.bool)
    masks[:, :, 32:96, 32:96] = True
    for tiny in (True, False):
        inpainted = models.inpainter.inpaint(
            seen[:, :, :128, :128], "a fish", masks=masks, noise=models.inpainter.noise(128, 0),
            sampler=Sampler(steps=3, guidance=2.0, guided=1.0, refresh=2, tiny_vae=tiny),
        )  # fmt: skip
        assert inpainted.shape == (1, 3, 128, 128) and inpainted.isfinite().all()
    assert models.inpainter.nfe == 2 * (3 + 2)
