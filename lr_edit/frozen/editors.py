"""Pipelines of diffusers that edit a whole picture by an instruction, behind the inpainter's
protocol: InstructPix2Pix, FLUX.1 Kontext, FLUX.2 klein, Qwen-Image-Edit.

They need no region and promise none: what of the picture changes is measured, not limited. They
sample with their own scheduler and their own guidance in every step; evaluations of the UNet or the
transformer are counted where they happen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import to_pil_image

from lr_edit.errors import UserError
from lr_edit.execution.environment import choose_device
from lr_edit.frozen.clip import load_clip
from lr_edit.frozen.dino import load_dino
from lr_edit.frozen.memory import check_memory, place, quantisation
from lr_edit.frozen.models import Models
from lr_edit.frozen.pipelines import PipelineKind
from lr_edit.frozen.weights import check_numbers, class_named, folder_of, loading, resolve
from lr_edit.frozen.whole_pipeline import starting_noise
from lr_edit.profiles import Memory, Profile
from lr_edit.types import Sampler


@dataclass(frozen=True)
class EditorKind(PipelineKind):
    """One class that edits; `nfe` of a step with guidance, per picture."""

    nfe: int = 2


def _near_the_source(_count: int, _pixels: int) -> dict[str, Any]:
    return {"image_guidance_scale": 1.5}  # its card's


def _without_words(_count: int, _pixels: int) -> dict[str, Any]:
    return {"negative_prompt": " "}  # without one Qwen-Image is not guided at all


def _at_own_size(_count: int, pixels: int) -> dict[str, Any]:
    return {"max_area": pixels, "_auto_resize": False}  # else a million pixels, whatever is asked


EDITORS = (
    EditorKind(
        "StableDiffusionInstructPix2PixPipeline", unet=True, more=_near_the_source, nfe=3
    ),
    EditorKind(
        "FluxKontextPipeline", guidance="told", more=_at_own_size, reader="text_encoder_2",
        nfe=1,
    ),
    EditorKind("Flux2KleinPipeline"),
    EditorKind("QwenImageEditPipeline", scale="true_cfg_scale", more=_without_words),
    EditorKind("QwenImageEditPlusPipeline", scale="true_cfg_scale", more=_without_words),
)  # fmt: skip


class InstructionEditor:
    """A frozen pipeline as `frozen.Inpainter`: its prompt is an instruction, its masks are not
    looked at."""

    def __init__(self, pipeline: Any, kind: EditorKind) -> None:
        self._pipeline, self._kind = pipeline, kind
        self.nfe = 0
        self.max_batch: int | None = None
        self.watch: Callable[[int], None] | None = None
        pipeline.set_progress_bar_config(disable=True)
        self._denoiser = pipeline.unet if kind.unet else pipeline.transformer
        self._denoiser.register_forward_pre_hook(self._count, with_kwargs=True)
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise: it stands for the seed from which the pipeline draws its own."""
        return starting_noise(self._pipeline, side, seed=seed)

    def nfe_per_image(self, sampler: Sampler) -> int:
        """NFE of one picture: three times the steps for InstructPix2Pix under guidance, which is
        guided by the words and by the picture."""
        return sampler.steps * (self._kind.nfe if sampler.guided_steps else 1)

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
        """The picture edited as `prompt` says, once from each noise. Values in [0, 1] in and out.

        Raises UserError for what these pipelines do not do: an early stop, a solver of ours,
        guidance in a share of the steps, a start from the source.
        """
        if refused := self._refused(sampler):
            raise UserError(f"a {self._kind.name} samples for itself: leave out {refused}")
        starts = noise.expand(len(masks), -1, -1, -1)
        return torch.cat([self._edit(image, prompt, noise=one, sampler=sampler) for one in starts])

    def predict(self, *_args: Any, **_options: Any) -> Tensor:
        """Raises UserError: DiffEdit wants an inpainter."""
        raise UserError("an editor has no noise predictions: leave `diffedit` out")

    def _edit(
        self, image: Tensor, prompt: str, *, noise: Tensor, sampler: Sampler
    ) -> Float[Tensor, "1 3 h w"]:
        kind, (high, wide) = self._kind, image.shape[-2:]
        size = {} if kind.unet else {"height": high, "width": wide}
        digest = hashlib.sha256(noise.contiguous().numpy().tobytes()).digest()
        made = self._pipeline(
            prompt=prompt,
            image=to_pil_image(image[0]),
            num_inference_steps=sampler.steps,
            generator=torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")),
            output_type="pt",
            **size,
            **{kind.scale: sampler.guidance if sampler.guided_steps else kind.unguided},
            **kind.more(1, high * wide),
        ).images
        made = made.float().cpu()
        if made.shape[-2:] != (high, wide):  # Qwen-Image-Edit works at a million pixels alone
            made = interpolate(made, (high, wide), mode="bicubic", antialias=True)
        return made.clamp(0, 1)

    def _count(self, _module: torch.nn.Module, args: tuple, options: dict[str, Any]) -> None:
        self.nfe += len(args[0] if args else options["hidden_states"])
        if self.watch:
            self.watch(self.nfe)

    def _refused(self, sampler: Sampler) -> str | None:
        """What a sampler wants that this pipeline cannot do."""
        distilled = self._pipeline.config.get("is_distilled", False)
        wishes = {
            "`stop`": sampler.stop is not None,
            "`solver: pndm`": sampler.solver != "dpm",
            "`guided` below 1": 0 < sampler.guided_steps < sampler.length,
            "`refresh`": sampler.refresh > 1,
            "`strength`": sampler.strength < 1,
            "`guidance` above 1, this model was distilled to need none": sampler.guided_steps > 0
            and distilled,
        }
        return next((name for name, there in wishes.items() if there), None)


def load_editor(
    name: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    memory: Memory = Memory(),
) -> InstructionEditor:
    """A pipeline that edits whole pictures, through diffusers' own loader, from safetensors alone.

    Args:
        name: A hub id, as "timbrooks/instruct-pix2pix", or `local-dir:FOLDER`.
        revision: The commit of a hub's repository.
        variant: The files to take, as in "fp16".
        device: "cpu" computes in float32, a GPU in float16 (transformers in bfloat16).
        dtype: What it computes in instead.
        memory: Offloading, tiling, quantisation, compilation.

    Raises:
        UserError: Weights are missing or unreadable, the pipeline edits no pictures here, or the
            device cannot do what `memory` says.
    """
    diffusers.logging.disable_progress_bar()
    where = {"revision": revision, "local_files_only": folder_of(name) is not None}
    with loading(name, needs=("model_index.json",)):
        index = diffusers.DiffusionPipeline.load_config(folder_of(name) or name, **where)
    kind = find_editor(name, class_named(name, index))
    check_memory(memory, kind, device=device)
    half = torch.float16 if kind.unet else torch.bfloat16
    dtype = dtype or (torch.float32 if device == "cpu" else half)
    safety = {"safety_checker": None} if kind.unet else {}
    with loading(name):
        pipe = getattr(diffusers, kind.name).from_pretrained(
            folder_of(name) or name,
            variant=variant,
            torch_dtype=dtype,
            use_safetensors=True,
            quantization_config=quantisation(memory, kind, dtype=dtype),
            **safety,
            **where,
        )
        check_numbers(name, *pipe.components.values())
    place(pipe, memory, kind=kind, device=device)
    return InstructionEditor(pipe, kind)


def load_with_editor(root: Path, profile: Profile) -> Models:
    """The models of a profile with its `editor`, which edits whole pictures, in the inpainter's
    place. UserError where the profile names none."""
    editor, device = profile.model("editor"), choose_device()
    return Models(
        anchors=load_dino(resolve(root, profile.anchors.name), device=device),
        clip=load_clip(resolve(root, profile.clip.name), profile.clip.pretrained, device=device),
        inpainter=load_editor(
            resolve(root, editor.name),
            revision=editor.revision,
            variant=editor.variant,
            device=device,
            memory=profile.memory,
        ),
        device=device,
    )


def find_editor(name: str, given: str) -> EditorKind:
    """The row of a class in model_index.json; `name` is the weights'.

    Raises UserError for a class that edits no pictures here, with the list of those that do.

    Example:
        >>> find_editor("timbrooks/instruct-pix2pix", "StableDiffusionInstructPix2PixPipeline").unet
        True
    """
    for kind in EDITORS:
        if given == kind.name:
            return kind
    known = ", ".join(kind.name for kind in EDITORS)
    raise UserError(
        f"weights {name!r}: a {given} edits no whole pictures here; those that do: {known}"
    )
