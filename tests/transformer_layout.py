"""Inpainting pipelines with a transformer, small, of random numbers, as the hub lays them out."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxInpaintPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3InpaintPipeline,
)
from transformers import T5Config, T5EncoderModel, T5TokenizerFast

from tests.hub_layout import autoencoder, save, text_encoder, tokenizer


def write_sd3(folder: Path) -> None:
    """Stable Diffusion 3: a transformer, two CLIP towers and a T5."""
    torch.manual_seed(0)
    tokens = tokenizer(folder / "tokens")
    pieces = _t5_tokenizer()
    towers = [text_encoder(tokens, 16, projected=True, full={}) for _ in range(2)]
    transformer = SD3Transformer2DModel(
        sample_size=16, patch_size=1, in_channels=16, num_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=32,
        pooled_projection_dim=32, out_channels=16,
    )  # fmt: skip
    pipeline = StableDiffusion3InpaintPipeline(
        vae=autoencoder(full=False, channels=16, shift=0.1), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=towers[0], tokenizer=tokens,
        text_encoder_2=towers[1], tokenizer_2=tokens, text_encoder_3=_t5(pieces),
        tokenizer_3=pieces,
    )  # fmt: skip
    save(pipeline, folder, variant=None)


def write_flux(folder: Path) -> None:
    """Flux: a transformer over packed latents that is told its guidance, a CLIP tower and a T5."""
    torch.manual_seed(0)
    tokens, pieces = tokenizer(folder / "tokens"), _t5_tokenizer()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    pipeline = FluxInpaintPipeline(
        vae=autoencoder(full=False, shift=0.1), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=text_encoder(tokens, 32, full={}),
        tokenizer=tokens, text_encoder_2=_t5(pieces), tokenizer_2=pieces,
    )  # fmt: skip
    save(pipeline, folder, variant=None)


def _t5(pieces: T5TokenizerFast) -> T5EncoderModel:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 1, "num_heads": 4}
    return T5EncoderModel(T5Config(vocab_size=len(pieces), **sizes))


def _t5_tokenizer() -> T5TokenizerFast:
    """T5's own class on an alphabet of single letters."""
    letters = [chr(c) for c in range(33, 127)]
    scored = [(word, -1.0) for word in ("<pad>", "</s>", "<unk>", "▁", *letters)]
    return T5TokenizerFast(vocab=scored, extra_ids=0)
