"""Inpainting pipelines with a transformer, small, of random numbers, as the hub lays them out.

Each is written by the class that its hub's model_index.json names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxFillPipeline,
    FluxInpaintPipeline,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    QwenImageEditPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from tests.hub_layout import autoencoder, save, text_encoder, tokenizer

_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_QWEN3 = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "head_dim": 8,
          "num_key_value_heads": 1, "max_position_embeddings": 512}  # fmt: skip


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
    pipeline = StableDiffusion3Pipeline(
        vae=autoencoder(full=False, channels=16, shift=0.1), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=towers[0], tokenizer=tokens,
        text_encoder_2=towers[1], tokenizer_2=tokens, text_encoder_3=_t5(pieces),
        tokenizer_3=pieces,
    )  # fmt: skip
    save(pipeline, folder, variant=None)


def write_flux(folder: Path, *, kind: Any = FluxInpaintPipeline, entries: int = 16) -> None:
    """Flux: a transformer over packed latents that is told its guidance, a CLIP tower and a T5."""
    torch.manual_seed(0)
    tokens, pieces = tokenizer(folder / "tokens"), _t5_tokenizer()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=entries, out_channels=16, num_layers=1, num_single_layers=1,
        attention_head_dim=16, num_attention_heads=2, joint_attention_dim=32,
        pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    pipeline = kind(
        vae=autoencoder(full=False, shift=0.1), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=text_encoder(tokens, 32, full={}),
        tokenizer=tokens, text_encoder_2=_t5(pieces), tokenizer_2=pieces,
    )  # fmt: skip
    save(pipeline, folder, variant=None)


def write_fill(folder: Path) -> None:
    """FLUX.1 Fill: noise, the masked picture's latents and the mask, 8 x 8 pixels of it a cell."""
    write_flux(folder, kind=FluxFillPipeline, entries=16 + 16 + 4 * 64)


def write_kontext(folder: Path) -> None:
    """FLUX.1 Kontext: the picture's latents stand beside the noise, in the sequence."""
    write_flux(folder, kind=FluxKontextPipeline)


def write_klein(folder: Path, *, distilled: bool = True) -> None:
    """FLUX.2 klein: Qwen3 reads the words, at its layers 9, 18 and 27."""
    torch.manual_seed(0)
    tokens = _qwen_tokenizer()
    vae = AutoencoderKLFlux2(
        block_out_channels=(8,) * 4, latent_channels=4, layers_per_block=1, norm_num_groups=4
    )
    transformer = Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=48, timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    words = Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokens), num_hidden_layers=27, **_QWEN3))
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=words, tokenizer=tokens,
        transformer=transformer, is_distilled=distilled,
    )  # fmt: skip
    save(pipeline, folder, variant=None)


def write_z_image(folder: Path) -> None:
    """Z-Image: one stream, lists of samples, Qwen3 reads the words."""
    torch.manual_seed(0)
    tokens = _qwen_tokenizer()
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
        cap_feat_dim=16, axes_dims=[4, 4, 8], axes_lens=[1024, 64, 64],
    )  # fmt: skip
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), transformer=transformer, tokenizer=tokens,
        vae=autoencoder(full=False, channels=16, shift=0.1),
        text_encoder=Qwen3Model(Qwen3Config(vocab_size=len(tokens), num_hidden_layers=2, **_QWEN3)),
    )  # fmt: skip
    save(pipeline, folder, variant=None)


def write_qwen(folder: Path) -> None:
    """Qwen-Image: a video autoencoder, Qwen2.5-VL reads the words."""
    save(QwenImagePipeline(**_qwen_parts()), folder, variant=None)


def write_qwen_edit(folder: Path, *, kind: Any = QwenImageEditPipeline) -> None:
    """Qwen-Image-Edit: Qwen2.5-VL sees the picture too."""
    parts = _qwen_parts()
    pictures = Qwen2VLImageProcessor(
        patch_size=14, merge_size=2, min_pixels=28 * 28, max_pixels=56 * 56
    )
    processor = Qwen2_5_VLProcessor(
        image_processor=pictures, tokenizer=parts["tokenizer"],
        video_processor=Qwen2VLVideoProcessor(patch_size=14, merge_size=2), chat_template=_CHAT,
    )  # fmt: skip
    save(kind(processor=processor, **parts), folder, variant=None)


def _qwen_parts() -> dict[str, Any]:
    torch.manual_seed(0)
    tokens = _qwen_tokenizer()
    ids = {f"{name}_token_id": tokens.convert_tokens_to_ids(f"<|{word}|>") for name, word in (
        ("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"),
        ("vision_end", "vision_end"),
    )}  # fmt: skip
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": len(tokens),
            "bos_token_id": None, "eos_token_id": None,
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
              "out_hidden_size": 16, "fullatt_block_indexes": [0]}  # fmt: skip
    words = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    )
    transformer = QwenImageTransformer2DModel(
        in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    return {"scheduler": FlowMatchEulerDiscreteScheduler(), "vae": vae, "text_encoder": words,
            "tokenizer": tokens, "transformer": transformer}  # fmt: skip


@cache
def _qwen_tokenizer() -> Qwen2Tokenizer:
    """Qwen's own class on the 256 bytes."""
    special = ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad",
               "video_pad")  # fmt: skip
    words = [*sorted(ByteLevel.alphabet()), *(f"<|{word}|>" for word in special)]
    tokens = Qwen2Tokenizer(
        vocab={word: i for i, word in enumerate(words)}, merges=[], chat_template=_CHAT,
        additional_special_tokens=[f"<|{word}|>" for word in special],
    )  # fmt: skip
    return tokens


def _t5(pieces: T5TokenizerFast) -> T5EncoderModel:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 1, "num_heads": 4}
    return T5EncoderModel(T5Config(vocab_size=len(pieces), **sizes))


@cache
def _t5_tokenizer() -> T5TokenizerFast:
    """T5's own class on an alphabet of single letters."""
    letters = [chr(c) for c in range(33, 127)]
    scored = [(word, -1.0) for word in ("<pad>", "</s>", "<unk>", "▁", *letters)]
    return T5TokenizerFast(vocab=scored, extra_ids=0)


WRITERS: dict[str, Callable[[Path], None]] = {
    "sd3": write_sd3, "flux": write_flux, "fill": write_fill, "kontext": write_kontext,
    "klein": write_klein, "klein-base": partial(write_klein, distilled=False),
    "qwen": write_qwen, "qwen-edit": write_qwen_edit, "z-image": write_z_image,
}  # fmt: skip
