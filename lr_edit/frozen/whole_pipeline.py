"""Inpainting pipelines whose denoiser is a transformer (Stable Diffusion 3, Flux, Qwen-Image,
Z-Image), run as they are.

diffusers samples with the pipeline's own scheduler and its own kind of guidance, in every step;
transformer evaluations are counted as a UNet's are. What they cannot do is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import to_pil_image

from lr_edit.errors import UserError
from lr_edit.frozen.pipelines import PipelineKind
from lr_edit.types import Sampler


class WholePipeline:
    """A frozen pipeline as `frozen.Inpainter`; `nfe` counts samples that pass through the
    transformer, so that guidance counts where it is evaluated."""

    def __init__(self, pipeline: Any, kind: PipelineKind) -> None:
        self._pipeline, self._kind = pipeline, kind
        self.nfe = 0
        self.max_batch: int | None = None
        self.watch: Callable[[int], None] | None = None
        pipeline.set_progress_bar_config(disable=True)
        settle_encoders(pipeline)
        pipeline.transformer.register_forward_pre_hook(self._count, with_kwargs=True)
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise of a square image of `side` pixels: it stands for the seed from which the
        pipeline draws its own, in whatever shape its latents have."""
        return starting_noise(self._pipeline, side, seed=seed)

    def nfe_per_image(self, sampler: Sampler) -> int:
        """NFE of one image: twice the steps where guidance is a second evaluation."""
        twice = self._kind.guidance == "true" and sampler.guided_steps > 0
        return _length(sampler) * (1 + twice)

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
        """Fill the True part of every mask. Values in [0, 1] in and out.

        Raises UserError for what needs a UNet (an early stop, a solver of ours, guidance in a share
        of the steps), guidance of a model that takes none, and sides that it cannot work at.
        """
        pipe, kind, n, (high, wide) = self._pipeline, self._kind, len(masks), image.shape[-2:]
        if refused := self._refused(sampler):
            raise UserError(f"a {kind.name} samples for itself: leave out {refused}")
        if high % (cell := pipe.image_processor.config.vae_scale_factor) or wide % cell:
            raise UserError(f"a {kind.name} works at sides that are multiples of {cell}, not at "
                            f"{wide} x {high}: name such a `side`")  # fmt: skip
        images = pipe(
            prompt=[prompt] * n,
            image=to_pil_image(image[0]) if kind.as_pil else image.expand(n, -1, -1, -1),
            mask_image=masks.to(image.dtype),
            height=high,
            width=wide,
            strength=sampler.strength,
            num_inference_steps=sampler.steps,
            generator=[_generator(one) for one in noise.expand(n, -1, -1, -1)],
            output_type="pt",
            **{kind.scale: sampler.guidance if sampler.guided_steps else kind.unguided},
            **kind.more(n, high * wide),
        ).images
        images = images.float().cpu()
        if images.shape[-2:] != (high, wide):  # Qwen-Image-Edit works at a million pixels alone
            images = interpolate(images, (high, wide), mode="bicubic", antialias=True)
        return images.clamp(0, 1)

    def predict(self, *_args: Any, **_options: Any) -> Tensor:
        """Raises UserError: a transformer's answer is no noise."""
        raise UserError("this inpainter has no noise predictions: leave `diffedit` out")

    def _count(self, _module: torch.nn.Module, args: tuple, options: dict[str, Any]) -> None:
        self.nfe += len(args[0] if args else options["hidden_states"])
        if self.watch:
            self.watch(self.nfe)

    def _refused(self, sampler: Sampler) -> str | None:
        """What a sampler wants that this pipeline cannot do."""
        reads = getattr(self._pipeline.transformer.config, "guidance_embeds", False)
        distilled = self._pipeline.config.get("is_distilled", False)
        guidable = reads if self._kind.guidance == "told" else not distilled
        wishes = {
            "`stop`": sampler.stop is not None,
            "`solver: pndm`": sampler.solver != "dpm",
            "`guided` below 1": 0 < sampler.guided_steps < sampler.length,
            "`refresh`": sampler.refresh > 1,
            "`guidance` above 1, this model was distilled to need none": sampler.guided_steps > 0
            and not guidable,
        }
        return next((name for name, there in wishes.items() if there), None)


def _length(sampler: Sampler) -> int:
    """Steps that are taken: these pipelines leave out a whole number of the first ones, so that
    `strength` rounds up what is left."""
    return sampler.steps - int(sampler.steps - sampler.steps * sampler.strength)


def starting_noise(pipeline: Any, side: int, *, seed: int) -> Float[Tensor, "1 channels rows cols"]:
    """Noise in the shape of the pipeline's latents, from a seed alone."""
    cells, sizes = side // pipeline.vae_scale_factor, pipeline.vae.config
    shape = (1, sizes.get("latent_channels") or sizes["z_dim"], cells, cells)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def settle_encoders(pipeline: Any) -> None:
    """A prompt that is given n times is embedded once, and latents of pictures are the posterior's
    mode: the pipeline would sample them, in batch order."""
    words, pictures = pipeline.encode_prompt, pipeline.vae.encode

    def encode_once(prompt: list[str], *args: Any, **options: Any) -> tuple[Any, ...]:
        return tuple(_repeat(x, len(prompt)) for x in words(prompt[:1], *args, **options))

    pipeline.encode_prompt = encode_once
    pipeline.vae.encode = lambda x: SimpleNamespace(latents=pictures(x).latent_dist.mode())


def _repeat(found: Any, count: int) -> Any:
    """One prompt's embedding `count` times; what belongs to no prompt (Flux's ids) as it is."""
    if isinstance(found, list):
        return found * count
    return found.repeat_interleave(count, 0) if found is not None and len(found) == 1 else found


def _generator(noise: Float[Tensor, "channels rows cols"]) -> torch.Generator:
    """A candidate's own: equal noise draws equally, whatever else is in the batch."""
    digest = hashlib.sha256(noise.contiguous().numpy().tobytes()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
