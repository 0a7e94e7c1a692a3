"""The pipelines of diffusers that inpaint here: a row a class. Data alone, no library.

A hub's model_index.json names a class, often one that only draws whole images; the row says which
class fills masks with the same parts, and how its call is told what a `Sampler` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lr_edit.errors import UserError


@dataclass(frozen=True)
class PipelineKind:
    """One class that inpaints.

    Args:
        name: The class that is loaded.
        parts_of: Other classes in model_index.json whose parts it takes.
        unet: Sampled step by step (`Inpainter`); the others run as they are (`WholePipeline`).
        guidance: "true": a second evaluation without the words. "told": the transformer reads it.
        scale: The argument of the call that takes guidance.
        unguided: Its value for none.
        more: Pictures, and pixels of one -> what else the call needs.
        as_pil: Its call takes no tensor for the image.
        reader: Of its text encoders the largest.
    """

    name: str
    parts_of: tuple[str, ...] = ()
    unet: bool = False
    guidance: Literal["true", "told"] = "true"
    scale: str = "guidance_scale"
    unguided: float = 1.0
    more: Callable[[int, int], dict[str, Any]] = lambda _count, _pixels: {}
    as_pil: bool = False
    reader: str = "text_encoder"


def _without_words(count: int, _pixels: int) -> dict[str, Any]:
    return {"negative_prompt": [" "] * count}  # without one Qwen-Image is not guided at all


def _at_own_size(_count: int, pixels: int) -> dict[str, Any]:
    return {"max_area": pixels, "_auto_resize": False}  # else a million pixels, whatever is asked


KINDS = (
    PipelineKind("StableDiffusionInpaintPipeline", ("StableDiffusionPipeline",), unet=True),
    PipelineKind("StableDiffusionXLInpaintPipeline", ("StableDiffusionXLPipeline",), unet=True),
    PipelineKind(
        "StableDiffusion3InpaintPipeline", ("StableDiffusion3Pipeline",), reader="text_encoder_3"
    ),
    PipelineKind(
        "FluxInpaintPipeline", ("FluxPipeline",), guidance="told", reader="text_encoder_2"
    ),
    PipelineKind("FluxFillPipeline", guidance="told", reader="text_encoder_2"),
    PipelineKind(
        "FluxKontextInpaintPipeline", ("FluxKontextPipeline",), guidance="told",
        more=_at_own_size, reader="text_encoder_2",
    ),
    PipelineKind("Flux2KleinInpaintPipeline", ("Flux2KleinPipeline",)),
    PipelineKind(
        "QwenImageInpaintPipeline", ("QwenImagePipeline",), scale="true_cfg_scale",
        more=_without_words,
    ),
    PipelineKind(
        "QwenImageEditInpaintPipeline", ("QwenImageEditPipeline",), scale="true_cfg_scale",
        more=_without_words, as_pil=True,
    ),
    PipelineKind("ZImageInpaintPipeline", ("ZImagePipeline",), unguided=0.0),
)  # fmt: skip

_REFUSED = {
    "Chroma": "diffusers cannot run its inpainting (it asks Chroma's transformer for "
    "`guidance_embeds`, which that has not)",
    "QwenImageEditPlus": "it takes no mask: it edits the whole image",
}


def find_kind(name: str, given: str) -> PipelineKind:
    """The row of a class in model_index.json, or of a profile's `pipeline`; `name` is the weights'.

    Raises UserError for a class that does not inpaint here, with the list of those that do.

    Example:
        >>> find_kind("Tongyi-MAI/Z-Image", "ZImagePipeline").name
        'ZImageInpaintPipeline'
    """
    for kind in KINDS:
        if given in (kind.name, *kind.parts_of):
            return kind
    why = next((said for one, said in _REFUSED.items() if given.startswith(one)), "")
    known = ", ".join(kind.name for kind in KINDS)
    raise UserError(
        f"weights {name!r}: a {given} cannot inpaint here{why and f': {why}'}; those that can: "
        f"{known}, and what the hub has of their parts"
    )
