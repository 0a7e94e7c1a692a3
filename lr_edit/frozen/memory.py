"""An inpainter on a device: offloaded, tiled, quantised, compiled, as a profile's `memory` says, or
as the memory that is there asks for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from typing import Any, Literal

import torch

from lr_edit.errors import UserError
from lr_edit.frozen.pipelines import PipelineKind
from lr_edit.profiles import Memory

SPARE = 6 * 2**30  # bytes that stay free for what is computed, a batch of a million pixels each
_LIBRARIES = {"int8": "torchao", "nf4": "bitsandbytes"}


def check_memory(memory: Memory, kind: PipelineKind, *, device: str) -> None:
    """UserError, in a sentence, for what the device, the model or the installation cannot do."""
    library = _LIBRARIES.get(memory.quantise, "")
    on_cpu = torch.device(device).type == "cpu"
    for is_wrong, said in (
        (on_cpu and memory.offload in ("model", "group"),
         f"`offload: {memory.offload}` moves parts off a GPU, and this is {device}"),
        (on_cpu and memory.compile, f"`compile` is for a GPU, and this is {device}"),
        (on_cpu and memory.quantise == "nf4",
         f"`quantise: nf4` needs a GPU, and this is {device}; int8 does not"),
        (library and kind.unet, f"`quantise` is for transformers, and a {kind.name} has a UNet"),
        (library and not find_spec(library),
         f"`quantise: {memory.quantise}` needs {library}: `pip install 'lr-edit[quantise]'`"),
    ):  # fmt: skip
        if is_wrong:
            raise UserError(f"memory: {said}")


def choose_offload(sizes: Sequence[int], *, free: int) -> Literal["none", "model", "group"]:
    """What of a pipeline stays on the GPU: all parts, the one that computes, or a layer of it.

    Args:
        sizes: Bytes of every part.
        free: Bytes of the GPU's memory.

    Example:
        >>> choose_offload([24 * 2**30, 10 * 2**30], free=32 * 2**30)
        'model'
    """
    if sum(sizes) + SPARE <= free:
        return "none"
    return "model" if max(sizes) + SPARE <= free else "group"


def quantisation(memory: Memory, kind: PipelineKind, *, dtype: torch.dtype) -> Any:
    """diffusers' configuration of what is quantised as it is loaded; None for nothing."""
    if memory.quantise == "none":
        return None
    import diffusers
    import transformers

    homes = {"transformer": diffusers, kind.reader: transformers}
    if memory.quantise == "int8":
        from torchao.quantization import Int8WeightOnlyConfig

        mapping = {part: home.TorchAoConfig(Int8WeightOnlyConfig()) for part, home in homes.items()}
    else:
        how: dict[str, Any] = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
        mapping = {
            part: home.BitsAndBytesConfig(**how, bnb_4bit_compute_dtype=dtype)
            for part, home in homes.items()
        }
    return diffusers.PipelineQuantizationConfig(quant_mapping=mapping)


def place(pipeline: Any, memory: Memory, *, kind: PipelineKind, device: str) -> None:
    """Bring a loaded pipeline onto its device, as much of it as fits."""
    offload = memory.offload
    if offload == "auto":
        offload = "none"
        if torch.device(device).type == "cuda":
            modules = [x for x in pipeline.components.values() if isinstance(x, torch.nn.Module)]
            free, _ = torch.cuda.mem_get_info(device)
            offload = choose_offload([_bytes(one) for one in modules], free=free)
    if memory.tiling or (memory.tiling is None and offload != "none"):
        pipeline.vae.enable_tiling()
        pipeline.vae.enable_slicing()
    if memory.compile:
        compile_blocks(pipeline.unet if kind.unet else pipeline.transformer)
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "group":
        pipeline.enable_group_offload(torch.device(device), offload_type="leaf_level")
    else:
        pipeline.to(device)


def compile_blocks(denoiser: Any, **how: Any) -> None:
    """Compile the blocks that repeat, once for batches of any size; `how` goes to `torch.compile`.

    Blocks alone: hooks that count evaluations stay outside.
    """
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks(dynamic=True, **how)
    else:  # diffusers names none of Stable Diffusion 3
        for block in denoiser.transformer_blocks:
            block.compile(dynamic=True, **how)


def _bytes(module: torch.nn.Module) -> int:
    tensors = chain(module.parameters(), module.buffers())
    return sum(one.numel() * one.element_size() for one in tensors)
