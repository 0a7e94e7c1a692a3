"""Inpainting pipelines whose denoiser is a transformer (Stable Diffusion 3, Flux), run as they are.

diffusers samples with the pipeline's own scheduler and its own kind of guidance, in every step;
transformer evaluations are counted as a UNet's are. What they cannot do is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lr_edit.errors import UserError
from lr_edit.types import Sampler


class WholePipeline:
    """A frozen pipeline as `frozen.Inpainter`; `nfe` counts samples that pass through the
    transformer, so that guidance counts where it doubles the batch."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.nfe = 0
        self.max_batch: int | None = None
        self.watch: Callable[[int], None] | None = None
        pipeline.set_progress_bar_config(disable=True)
        pipeline.transformer.register_forward_pre_hook(self._count, with_kwargs=True)
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise of a square image of `side` pixels: it stands for the seed from which the
        pipeline draws its own, in whatever shape its latents have."""
        return starting_noise(self._pipeline, side, seed=seed)

    def nfe_per_image(self, sampler: Sampler) -> int:
        """NFE of one image: Flux is told the guidance, others are evaluated twice."""
        told = hasattr(self._pipeline.transformer.config, "guidance_embeds")
        return sampler.length if told else sampler.nfe

    @torch.no_grad()
    def inpaint(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 side side"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 side side"]:
        """Fill the True part of every mask. Values in [0, 1] in and out.

        Raises UserError for what needs a UNet: an early stop, a solver of ours, guidance in a share
        of the steps.
        """
        if refused := _refused(sampler):
            raise UserError(
                f"a {type(self._pipeline).__name__} samples for itself: leave out {refused}"
            )
        n, side = len(masks), image.shape[-1]
        images = self._pipeline(
            prompt=[prompt] * n,
            image=image.expand(n, -1, -1, -1),
            mask_image=masks.to(image.dtype),
            height=side,
            width=side,
            strength=sampler.strength,
            num_inference_steps=sampler.steps,
            guidance_scale=sampler.guidance if sampler.guided_steps else 1.0,
            generator=[_generator(one) for one in noise.expand(n, -1, -1, -1)],
            output_type="pt",
        ).images
        return images.float().cpu().clamp(0, 1)

    def predict(self, *_args: Any, **_options: Any) -> Tensor:
        """Raises UserError: a transformer's answer is no noise."""
        raise UserError("this inpainter has no noise predictions: leave `diffedit` out")

    def _count(self, _module: torch.nn.Module, args: tuple, options: dict[str, Any]) -> None:
        self.nfe += len(args[0] if args else options["hidden_states"])
        if self.watch:
            self.watch(self.nfe)


def starting_noise(pipeline: Any, side: int, *, seed: int) -> Float[Tensor, "1 channels rows cols"]:
    """Noise in the shape of the pipeline's latents, from a seed alone."""
    cells = side // pipeline.vae_scale_factor
    shape = (1, pipeline.vae.config.latent_channels, cells, cells)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _refused(sampler: Sampler) -> str | None:
    """What a sampler wants that only a UNet's pipeline can do."""
    wishes = {
        "`stop`": sampler.stop is not None,
        "`solver: pndm`": sampler.solver != "dpm",
        "`guided` below 1": 0 < sampler.guided_steps < sampler.length,
        "`refresh`": sampler.refresh > 1,
    }
    return next((name for name, there in wishes.items() if there), None)


def _generator(noise: Float[Tensor, "channels rows cols"]) -> torch.Generator:
    """A candidate's own: equal noise draws equally, whatever else is in the batch."""
    digest = hashlib.sha256(noise.contiguous().numpy().tobytes()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
