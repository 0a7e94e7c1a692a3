"""diffusers' inpainting pipelines behind one call: an image, a prompt and masks in, images out.

Sampling is DPM++ 2M with guidance on the first steps only; every UNet evaluation is counted.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoPipelineForInpainting, DPMSolverMultistepScheduler
from diffusers.utils import logging
from jaxtyping import Bool, Float
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from lr_edit.frozen.weights import folder_of, loading


class Inpainter:
    """A frozen inpainting pipeline.

    `evaluations` counts UNet sample-evaluations so far: a batch of n with guidance counts 2n.
    """

    def __init__(self, pipeline: Any, *, steps: int, guidance: float, guided: float) -> None:
        self._pipeline = pipeline
        self._steps = steps
        self._guided_steps = round(guided * steps)
        self._guidance = guidance if self._guided_steps else 1.0
        self.evaluations = 0
        pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.register_forward_pre_hook(self._count)
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            part.eval().requires_grad_(False)
        _encode_without_chance(pipeline.vae)
        for part in (pipeline.unet, pipeline.vae):  # half the time of convolutions on a CPU
            part.to(memory_format=torch.channels_last)

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise for a square image of `side` pixels, from a seed alone."""
        cells = side // self._pipeline.vae_scale_factor
        shape = (1, self._pipeline.vae.config.latent_channels, cells, cells)
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(shape, generator=generator)

    @torch.no_grad()
    def inpaint(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 side side"],
        noise: Float[Tensor, "#n channels rows cols"],
    ) -> Float[Tensor, "n 3 side side"]:
        """Paint the True part of every mask. Values in [0, 1] in and out."""
        n, side = len(masks), image.shape[-1]
        pipe = self._pipeline
        images = pipe(
            prompt=[prompt] * n,
            image=image.expand(n, -1, -1, -1),
            mask_image=masks.to(image.dtype),
            height=side,
            width=side,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            latents=noise.expand(n, -1, -1, -1).to(pipe.device, pipe.unet.dtype),
            output_type="pt",
            callback_on_step_end=self._end_guidance,
            callback_on_step_end_tensor_inputs=["prompt_embeds", "mask", "masked_image_latents"],
        ).images
        return images.float().cpu().clamp(0, 1)

    def _count(self, _module: torch.nn.Module, args: tuple) -> None:
        self.evaluations += len(args[0])

    def _end_guidance(self, pipe: Any, step: int, _time: Any, tensors: dict) -> dict:
        # diffusers' own cutoff halves the prompt alone and fails on nine-channel UNets: mask and
        # masked latents were doubled too.
        if self._guidance > 1 and step + 1 == self._guided_steps < self._steps:
            pipe._guidance_scale = 1.0
            return {name: tensor.chunk(2)[-1] for name, tensor in tensors.items()}
        return {}


def _encode_without_chance(vae: Any) -> None:
    """Latents of masked pictures become the posterior's mode.

    The pipeline would sample them with torch's global generator, in batch order.
    """
    encode = vae.encode
    vae.encode = lambda pictures: SimpleNamespace(latents=encode(pictures).latent_dist.mode())


def load_inpainter(
    name: str,
    *,
    steps: int,
    guidance: float,
    guided: float,
    revision: str | None = None,
    variant: str | None = None,
    device: str = "cpu",
) -> Inpainter:
    """A pipeline by hub id or `local-dir:FOLDER`, through diffusers' own loader; safetensors only.

    Raises UserError where weights are missing or unreadable.
    """
    folder = folder_of(name)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bar()
    with loading(name, needs=("model_index.json",)):
        pipeline = AutoPipelineForInpainting.from_pretrained(
            folder or name,
            revision=revision,
            variant=variant,
            dtype=torch.float32 if device == "cpu" else torch.float16,
            use_safetensors=True,
            local_files_only=folder is not None,
        )
    return Inpainter(pipeline.to(device), steps=steps, guidance=guidance, guided=guided)
