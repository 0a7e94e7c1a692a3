"""The small inpainter: a nine-channel UNet on 16x16 latents and its text encoder, trained together.

What enters is the frozen autoencoder and drawn scenes with their captions; what leaves is a
StableDiffusionInpaintPipeline in diffusers' own format. The caption describes the whole scene, so
the net learns to paint what the words name and the visible part lacks, and ground where nothing is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from lr_edit.picturebook import words
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe
from lr_edit.picturebook.vae import GRID
from lr_edit.picturebook.world import SIDE, Scene

RECIPE = Recipe(steps=5000, batch=32, rate=8e-4, warmup=200, cooldown=0.35, average=0.998, seed=21)
WIDTH = 128  # of the text
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "steps_offset": 1,
}
MASKS = 2  # masks drawn for each scene


class Painter(nn.Module):
    """UNet and text encoder, the two parts that are trained."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel(
            sample_size=SIDE // GRID,
            in_channels=9,
            out_channels=4,
            block_out_channels=(48, 112, 160),
            layers_per_block=1,
            # No attention at 16x16: it costs as much as all the rest.
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=8,
            norm_num_groups=16,
            # The words also steer every block through the time embedding: a thing's kind and
            # colour are learned in a tenth of the steps that cross attention alone takes.
            addition_embed_type="text",
            addition_embed_type_num_heads=4,
            resnet_time_scale_shift="scale_shift",
        ).to(memory_format=torch.channels_last)
        self.text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(words.tokenizer()),
                hidden_size=WIDTH,
                intermediate_size=4 * WIDTH,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=words.LENGTH,
                eos_token_id=words.tokenizer().eos_token_id,
                bos_token_id=words.tokenizer().bos_token_id,
                pad_token_id=words.tokenizer().pad_token_id,
            )
        )


@dataclass(frozen=True)
class Latents:
    """What training reads: latents of scenes and of their masked pictures, scaled to deviation 1.

    clean (N, 4, 16, 16), masked (N, MASKS, 4, 16, 16), masks (N, MASKS, 1, 16, 16), tokens (N, L).
    """

    clean: Tensor
    masked: Tensor
    masks: Tensor
    tokens: Tensor


def build() -> Painter:
    """A fresh painter."""
    torch.manual_seed(RECIPE.seed)
    return Painter()


def draw_mask(scene: Scene, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box on the latent grid, in cells: over a thing, part of one, ground, anything or all."""
    cells = SIDE // GRID
    kind = rng.choice(["over", "free", "ground", "all"], p=[0.62, 0.2, 0.13, 0.05])
    if kind == "all":
        return 0, 0, cells, cells
    if kind == "over" and scene.things:
        box = scene.things[rng.integers(len(scene.things))].box
        slack = rng.exponential(1.6, 4).astype(int)  # uneven: the shape must not tell the kind
        return (
            max(0, box.left // GRID - slack[0]),
            max(0, box.top // GRID - slack[1]),
            min(cells, -(-box.right // GRID) + slack[2]),
            min(cells, -(-box.bottom // GRID) + slack[3]),
        )
    for _ in range(30):
        wide, high = rng.integers(3, 15, 2)
        left, top = (int(rng.integers(0, cells - n + 1)) for n in (wide, high))
        cell = (left, top, left + int(wide), top + int(high))
        if kind != "ground" or not any(_overlap(cell, t.box.as_tuple()) for t in scene.things):
            break
    return cell


def _overlap(cell: tuple[int, ...], box: tuple[int, ...]) -> bool:
    left, top, right, bottom = (GRID * v for v in cell)
    return left < box[2] and box[0] < right and top < box[3] and box[1] < bottom


@torch.no_grad()
def encode(vae: AutoencoderKL, pool: Pool, path: Path, *, batch: int = 64) -> Latents:
    """Every scene and its masked pictures through the autoencoder, once; kept at `path`."""
    if not path.exists():
        scale = vae.config.scaling_factor
        clean, masked, masks = [], [], []
        for start in range(0, len(pool), batch):
            rows = range(start, min(start + batch, len(pool)))
            x = pool.pictures(list(rows)) * 2 - 1
            m = torch.stack(
                [_masks(pool.scenes[row], row) for row in rows]
            )  # (n, MASKS, 1, 16, 16)
            full = m.repeat_interleave(GRID, -2).repeat_interleave(GRID, -1)
            z = [x] + [x * (1 - full[:, c]) for c in range(MASKS)]
            z = [vae.encode(v).latent_dist.mode().mul(scale).half() for v in z]
            clean.append(z[0])
            masked.append(torch.stack(z[1:], 1))
            masks.append(m.half())
        tensors = {"clean": clean, "masked": masked, "masks": masks}
        save_file({k: torch.cat(v).contiguous() for k, v in tensors.items()}, path)
    return Latents(**load_file(path), tokens=words.encode(pool.captions))


def _masks(scene: Scene, row: int) -> Tensor:
    masks = torch.zeros(MASKS, 1, SIDE // GRID, SIDE // GRID)
    for copy in range(MASKS):
        left, top, right, bottom = draw_mask(scene, np.random.default_rng([7, row, copy]))
        masks[copy, :, top:bottom, left:right] = 1
    return masks


def loss(painter: Painter, data: Latents, indices: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared error of the velocity, the mask weighted 3 to 1, words dropped in 10%."""
    n = len(indices)
    which = torch.randint(MASKS, (n,), generator=generator)
    x = data.clean[indices].float()
    masked, mask = data.masked[indices, which].float(), data.masks[indices, which].float()
    noise = torch.randn(x.shape, generator=generator)
    t = torch.randint(SCHEDULE["num_train_timesteps"], (n,), generator=generator)
    scheduler = _scheduler()
    tokens = data.tokens[indices].clone()
    dropped = torch.rand(n, generator=generator) < 0.1
    tokens[dropped] = words.encode([""])
    signal, level = _levels(scheduler, t)
    noisy, velocity = signal * x + level * noise, signal * noise - level * x
    state = painter.text(tokens).last_hidden_state
    entry = torch.cat([noisy, mask, masked], 1).to(memory_format=torch.channels_last)
    guess = painter.unet(entry, t, encoder_hidden_states=state).sample
    weight = 1 + 2 * mask
    return (weight * (guess - velocity).square()).sum() / (4 * weight.sum())


def _scheduler() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(**SCHEDULE)


def _levels(scheduler: DPMSolverMultistepScheduler, t: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise level at time t, (n, 1, 1, 1) each."""
    power = scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
    return power.sqrt(), (1 - power).sqrt()


def pipeline(painter: Painter, vae: AutoencoderKL) -> StableDiffusionInpaintPipeline:
    """The parts as diffusers knows them."""
    return StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=painter.text,
        tokenizer=words.tokenizer(),
        unet=painter.unet,
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(painter: Painter, vae: AutoencoderKL, folder: Path) -> None:
    """The pipeline in half precision, as `from_pretrained` reads it."""
    halves = pipeline(painter, vae)
    dtypes = [(part, part.dtype) for part in (halves.vae, halves.text_encoder, halves.unet)]
    for part, _ in dtypes:
        part.half()
    halves.save_pretrained(folder)
    for part, dtype in dtypes:
        part.to(dtype)
