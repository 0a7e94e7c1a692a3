"""Stable Diffusion 2 inpainting, DINO ViT-B/8 and CLIP ViT-B/16 at full size with random weights.

Speed does not depend on the values, so nothing is downloaded. On the `meta` device the models hold
no memory, and one call of each counts its FLOPs anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel

from lr_edit.execution.environment import choose_device
from lr_edit.frozen.clip import Clip
from lr_edit.frozen.dino import Dino
from lr_edit.frozen.inpainter import Inpainter
from lr_edit.frozen.models import Models

CELLS, WORDS, WIDTH = 64, 77, 1024  # latent cells of 512 pixels, tokens of a prompt, text width


def build_models(tokenizer: Path, *, device: str) -> Models:
    """The models of profile `sd2`, fp16 inpainter; any CLIP tokenizer of 77 words will do."""
    with torch.device(device):  # drawing weights takes longer on a CPU
        parts = {name: make().to(device, torch.float16) for name, make in _INPAINTER.items()}
    tiny = parts.pop("tiny_vae")
    pipeline = StableDiffusionInpaintPipeline(
        **parts,
        tokenizer=AutoTokenizer.from_pretrained(tokenizer),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    words = open_clip.get_tokenizer("ViT-B-16-quickgelu")
    return Models(
        anchors=Dino(_dino(), device=device),
        clip=Clip(_clip(device), words, device=device),
        inpainter=Inpainter(pipeline, tiny_vae=tiny),
        device=device,
    )


def count_flops() -> dict[str, float]:
    """FLOPs of one call of each part on one picture of 512 pixels (DINO: 256, CLIP: 224)."""
    picture, latents = (1, 3, 8 * CELLS, 8 * CELLS), (1, 4, CELLS, CELLS)
    with torch.device("meta"), torch.no_grad():
        parts: dict[str, Any] = {name: make() for name, make in _INPAINTER.items()}
        dino, clip = _dino(), _clip("meta")
        words = torch.zeros(1, WORDS, dtype=torch.int64)
        entry, states = torch.empty(1, 9, CELLS, CELLS), torch.empty(1, WORDS, WIDTH)
        calls: dict[str, Callable[[], Any]] = {
            "unet": lambda: parts["unet"](entry, 1, encoder_hidden_states=states),
            "encode": lambda: parts["vae"].encode(torch.empty(picture)),
            "decode": lambda: parts["vae"].decode(torch.empty(latents)),
            "tiny encode": lambda: parts["tiny_vae"].encode(torch.empty(picture)),
            "tiny decode": lambda: parts["tiny_vae"].decode(torch.empty(latents)),
            "text": lambda: parts["text_encoder"](words),
            "dino": lambda: dino(torch.empty(1, 3, 256, 256)),
            "clip": lambda: clip.encode_image(torch.empty(1, 3, 224, 224)),
        }
        return {name: flops_of(call) for name, call in calls.items()}


def flops_of(call: Callable[[], Any]) -> float:
    """FLOPs of a call, a multiplication and an addition being two; attention as its products.

    The counter knows the fused attention of GPUs, and not that of CPUs.
    """
    math = sdpa_kernel(SDPBackend.MATH)
    with (
        FlopCounterMode(display=False) as counter,
        nullcontext() if choose_device() == "cuda" else math,
    ):
        call()
    return float(counter.get_total_flops())


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=9, sample_size=CELLS, cross_attention_dim=WIDTH,
        attention_head_dim=(5, 10, 20, 20), use_linear_projection=True,
    )  # fmt: skip


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=2,
        sample_size=8 * CELLS,
    )  # fmt: skip


def _text_encoder() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408, hidden_size=WIDTH, intermediate_size=4096, num_hidden_layers=23,
            num_attention_heads=16, hidden_act="gelu", max_position_embeddings=WORDS,
        )
    )  # fmt: skip


def _dino() -> Any:
    return timm.create_model("vit_base_patch8_224.dino", num_classes=0, dynamic_img_size=True)


def _clip(device: str) -> Any:
    return open_clip.create_model("ViT-B-16-quickgelu", device=device)


_INPAINTER: dict[str, Callable[[], torch.nn.Module]] = {
    "unet": _unet,
    "vae": _vae,
    "tiny_vae": AutoencoderTiny,
    "text_encoder": _text_encoder,
}
