"""diffusers' inpainting pipelines behind one method: an image, a prompt and masks in, images out.

Sampling is as a `Sampler` says, step by step; every UNet evaluation is counted (NFE).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, PNDMScheduler
from diffusers.utils import logging
from jaxtyping import Bool, Float
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from lr_edit.errors import UserError
from lr_edit.frozen.memory import check_memory, place, quantisation
from lr_edit.frozen.pipelines import find_kind
from lr_edit.frozen.weights import check_numbers, class_named, folder_of, loading
from lr_edit.frozen.whole_pipeline import WholePipeline, settle_encoders, starting_noise
from lr_edit.profiles import Memory
from lr_edit.types import Sampler

# What guidance doubles: the prompt, the inputs of a nine-channel UNet, SDXL's added conditions.
_DOUBLED = ("prompt_embeds", "mask", "masked_image_latents", "add_text_embeds", "add_time_ids")


class Inpainter:
    """A frozen inpainting pipeline, and a tiny autoencoder where samplers want it.

    `nfe` counts UNet evaluations per image so far: a batch of n with guidance counts 2n.
    """

    def __init__(self, pipeline: Any, *, tiny_vae: Any = None) -> None:
        self._pipeline = pipeline
        self._vaes = {False: pipeline.vae, True: tiny_vae or pipeline.vae}
        self.nfe = 0
        self.max_batch: int | None = None
        self.watch: Callable[[int], None] | None = None
        self._schedulers = {
            "dpm": DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config),
            "pndm": PNDMScheduler.from_config(pipeline.scheduler.config, skip_prk_steps=True),
        }
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.register_forward_pre_hook(self._count)
        for part in (*pipeline.components.values(), *self._vaes.values()):
            if isinstance(part, torch.nn.Module):  # SDXL has two text encoders
                part.eval().requires_grad_(False)
        settle_encoders(pipeline)
        for part in (pipeline.unet, *self._vaes.values()):  # half the time of CPU convolutions
            part.to(memory_format=torch.channels_last)

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise for a square image of `side` pixels, from a seed alone."""
        return starting_noise(self._pipeline, side, seed=seed)

    def nfe_per_image(self, sampler: Sampler) -> int:
        """NFE: UNet evaluations of one image."""
        return sampler.nfe

    @torch.no_grad()
    def inpaint(
        self,
        image: Float[Tensor, "1 3 h w"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 h w"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 h w"]:
        """Fill the True part of every mask. Values in [0, 1] in and out; on the pipeline's device.

        Raises UserError for a strength below 1 on a UNet that is not made for inpainting.
        """
        n, (high, wide) = len(masks), image.shape[-2:]
        pipe = self._pipeline
        pipe.vae, pipe.scheduler = self._vaes[sampler.tiny_vae], self._schedulers[sampler.solver]
        device = pipe._execution_device
        noise, image = noise.to(device, pipe.unet.dtype), image.to(device)
        start = noise if sampler.strength == 1 else self._noised(image, noise, sampler)
        steps = _Steps(sampler)
        with pipe.unet.register_forward_hook(steps.hear):
            images = pipe(
                prompt=[prompt] * n,
                image=image.expand(n, -1, -1, -1),
                mask_image=masks.to(image.device, image.dtype),
                height=high,
                width=wide,
                strength=sampler.strength,
                num_inference_steps=sampler.steps,
                guidance_scale=sampler.guidance if sampler.guided_steps else 1.0,
                latents=start.expand(n, -1, -1, -1),
                output_type="pt",
                callback_on_step_end=steps.end,
                callback_on_step_end_tensor_inputs=[
                    name for name in _DOUBLED if name in pipe._callback_tensor_inputs
                ],
            ).images
        return images.float().clamp(0, 1)

    def _noised(self, image: Tensor, noise: Tensor, sampler: Sampler) -> Tensor:
        """The source's latents with the noise of the first step that is taken (SDEdit)."""
        pipe, scheduler = self._pipeline, self._pipeline.scheduler
        if pipe.unet.config.in_channels == 4:  # the pipeline would take these for pure noise
            raise UserError("this inpainter works at strength 1 alone: leave `strength` out")
        scheduler.set_timesteps(sampler.steps, device=noise.device)
        first = scheduler.timesteps[sampler.steps - sampler.length]
        return scheduler.add_noise(self._latents(image), noise, first[None])

    @torch.no_grad()
    def predict(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        noise: Float[Tensor, "n channels rows cols"],
        strength: float,
    ) -> Float[Tensor, "n channels rows cols"]:
        """The UNet's answer to the image under each noise, `strength` of the way to noise alone.

        An inpainting UNet is told that all of the image is masked. Raises UserError for a
        UNet that asks for more than a prompt.
        """
        pipe, n = self._pipeline, len(noise)
        if pipe.unet.config.addition_embed_type == "text_time":
            raise UserError("this inpainter has no noise predictions: leave `diffedit` out")
        pipe.vae, noise = self._vaes[False], noise.to(pipe._execution_device, pipe.unet.dtype)
        kept = self._schedulers["dpm"].alphas_cumprod
        time = min(int(strength * len(kept)), len(kept) - 1)
        entry = kept[time].sqrt() * self._latents(image) + (1 - kept[time]).sqrt() * noise
        if pipe.unet.config.in_channels > entry.shape[1]:
            nothing = self._latents(torch.full_like(image, 0.5)).expand(n, -1, -1, -1)
            entry = torch.cat([entry, torch.ones_like(entry[:, :1]), nothing], dim=1)
        words = pipe.encode_prompt([prompt], pipe._execution_device, n, False)[0]
        return pipe.unet(entry, time, encoder_hidden_states=words).sample.float().cpu()

    def _latents(self, image: Float[Tensor, "1 3 side side"]) -> Tensor:
        pipe = self._pipeline
        pixels = pipe.image_processor.preprocess(image).to(pipe._execution_device, pipe.unet.dtype)
        return pipe.vae.config.scaling_factor * pipe.vae.encode(pixels).latents

    def _count(self, _module: torch.nn.Module, args: tuple) -> None:
        self.nfe += len(args[0])
        if self.watch:
            self.watch(self.nfe)


class _Steps:
    """What happens in and after the steps of one run of a pipeline.

    diffusers has a cutoff of guidance that halves the prompt alone and fails on nine-channel UNets:
    mask and masked latents were doubled too.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler, self._step = sampler, 0
        self._doubled: dict[str, Tensor] = {}
        self._guidance = torch.zeros(())

    def hear(self, _unet: torch.nn.Module, _args: tuple, answer: tuple[Tensor]) -> tuple[Tensor]:
        """Called after every evaluation: what guidance was measured as stands for steps between."""
        (noise,) = answer
        if self._sampler.measures_guidance(self._step):
            without, told = noise.chunk(2)
            self._guidance = told - without
        elif self._step < self._sampler.guided_steps:
            noise = noise + (self._sampler.guidance - 1) * self._guidance
        return (noise,)

    def end(self, pipe: Any, step: int, _time: Any, tensors: dict) -> dict:
        """Called after every step: the next one measures guidance or not, or there is none."""
        self._step = step + 1
        if self._step == self._sampler.stop:
            pipe._interrupt = True
            return {"latents": pipe.scheduler.model_outputs[-1]}  # the estimate of x0
        now, then = (self._sampler.measures_guidance(at) for at in (step, step + 1))
        if now and not then:
            self._doubled = tensors
            pipe._guidance_scale = 1.0
            return {name: tensor.chunk(2)[-1] for name, tensor in tensors.items()}
        if then and not now:
            pipe._guidance_scale = self._sampler.guidance
            return self._doubled
        return {}


def load_inpainter(
    name: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    pipeline: str | None = None,
    tiny_vae: str | None = None,
    tiny_revision: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    memory: Memory = Memory(),
) -> Inpainter | WholePipeline:
    """An inpainting pipeline through diffusers' own loader, from safetensors alone.

    Args:
        name: A hub id, or `local-dir:FOLDER`.
        revision: The commit of a hub's repository.
        variant: The files to take, as in "fp16".
        pipeline: A class of `pipelines.KINDS`, in place of the one that model_index.json names.
        tiny_vae: An AutoencoderTiny for samplers with `tiny_vae`; id or folder.
        tiny_revision: Its commit.
        device: "cpu" computes in float32, a GPU in float16 (transformers in bfloat16).
        dtype: What it computes in instead.
        memory: Offloading, tiling, quantisation, compilation.

    Raises:
        UserError: Weights are missing or unreadable, the pipeline does not inpaint here, or the
            device cannot do what `memory` says.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bar()
    where = {"revision": revision, "local_files_only": folder_of(name) is not None}
    with loading(name, needs=("model_index.json",)):
        index = diffusers.DiffusionPipeline.load_config(folder_of(name) or name, **where)
    kind = find_kind(name, pipeline or class_named(name, index))
    if tiny_vae and not kind.unet:
        raise UserError(f"weights {name!r}: a tiny autoencoder is for pipelines with a UNet")
    check_memory(memory, kind, device=device)
    half = torch.float16 if kind.unet else torch.bfloat16  # transformers leave float16's range
    dtype = dtype or (torch.float32 if device == "cpu" else half)
    with loading(name):
        pipe = getattr(diffusers, kind.name).from_pretrained(
            folder_of(name) or name,
            variant=variant,
            dtype=dtype,
            use_safetensors=True,
            safety_checker=None,  # a picture that it blacks out is no candidate
            quantization_config=quantisation(memory, kind, dtype=dtype),
            **where,
        )
        check_numbers(name, *pipe.components.values())
    place(pipe, memory, kind=kind, device=device)
    if not kind.unet:
        return WholePipeline(pipe, kind)
    tiny = tiny_vae and _load_tiny_vae(tiny_vae, revision=tiny_revision, dtype=dtype)
    return Inpainter(pipe, tiny_vae=tiny and tiny.to(device))


def _load_tiny_vae(name: str, *, revision: str | None, dtype: torch.dtype) -> Any:
    with loading(name, needs=("config.json",)):
        tiny = AutoencoderTiny.from_pretrained(
            folder_of(name) or name,
            revision=revision,
            torch_dtype=dtype,
            use_safetensors=True,
            local_files_only=folder_of(name) is not None,
        )
        check_numbers(name, tiny)
    return tiny
