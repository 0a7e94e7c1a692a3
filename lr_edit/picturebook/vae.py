"""The small inpainter's autoencoder: diffusers' AutoencoderKL, 64x64 RGB <-> 16x16x4 latents."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home

RECIPE = Recipe(steps=1200, batch=16, rate=1e-3, warmup=100, cooldown=0.5, seed=11)
GRID = 4  # pixels a latent cell


def build() -> AutoencoderKL:
    """A fresh autoencoder whose posterior is a point: the variance half of its head is off."""
    torch.manual_seed(RECIPE.seed)
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=16,
        sample_size=64,
    )
    quant = vae.quant_conv
    with torch.no_grad():
        quant.weight[4:] = 0
        quant.bias[4:] = -20.0
    return vae.to(memory_format=torch.channels_last)


def loss(vae: AutoencoderKL, pool: Pool, *, indices: Tensor, generator: torch.Generator) -> Tensor:
    """L1 + 2 MSE, things counted double, plus 1e-4 of the latents' energy.

    The decoder sees the latents with noise of 0.1 instead of a KL term. A quarter of the pictures
    have a blank rectangle, as the inpainter's masked pictures do.
    """
    x = pool.pictures(indices) * 2 - 1
    weight = torch.ones_like(x[:, :1])
    for row, index in enumerate(indices.tolist()):
        for thing in pool.scenes[index].things:
            b = thing.box
            weight[row, :, b.top : b.bottom, b.left : b.right] = 2
        if row % 4 == 0:
            left, top = (torch.randint(0, 12, (2,), generator=generator) * GRID).tolist()
            wide, high = (torch.randint(3, 12, (2,), generator=generator) * GRID).tolist()
            x[row, :, top : top + high, left : left + wide] = 0
    x, weight = x.to(home(vae), memory_format=torch.channels_last), weight.to(home(vae))
    z = vae.encode(x).latent_dist.mode()
    noise = torch.randn(z.shape, generator=generator).to(home(vae))
    out = vae.decode(z + 0.1 * noise).sample
    error = (weight * (out - x).abs()).mean() + 2 * (weight * (out - x).square()).mean()
    return error + 1e-4 * z.square().mean()


@torch.no_grad()
def measure(vae: AutoencoderKL, pool: Pool, *, count: int = 256) -> dict[str, float]:
    """Reconstruction PSNR in dB over whole pictures and inside things' boxes."""
    x = pool.pictures(list(range(count)))
    out = reconstruct(vae, x)
    error = (out - x).square().mean(1)
    inside = torch.zeros_like(error, dtype=torch.bool)
    for row in range(count):
        for thing in pool.scenes[row].things:
            b = thing.box
            inside[row, b.top : b.bottom, b.left : b.right] = True
    return {"psnr": _decibel(error), "psnr_things": _decibel(error[inside])}


def _decibel(error: Tensor) -> float:
    return float(-10 * torch.log10(error.mean()))


@torch.no_grad()
def export(vae: AutoencoderKL, folder: Path, *, pool: Pool) -> None:
    """Write diffusers' folder, with the factor that brings the latents to unit deviation.

    Weights are rounded to half precision, as they are shipped: the inpainter then learns on the
    very latents it will meet.
    """
    z = vae.encode(pool.pictures(list(range(256))) * 2 - 1).latent_dist.mode()
    vae.register_to_config(scaling_factor=float(1 / z.std()))
    vae.half().float()
    vae.save_pretrained(folder)


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Images through the autoencoder and back: (N, 3, 64, 64) in [0, 1]."""
    out = vae.decode(vae.encode(images * 2 - 1).latent_dist.mode()).sample
    return (out / 2 + 0.5).clamp(0, 1)
