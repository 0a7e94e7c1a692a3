"""The small inpainter: a nine-channel UNet on 16x16 latents and its text encoder, trained together.

What enters is the frozen autoencoder and drawn scenes with their captions; what leaves is a
StableDiffusionInpaintPipeline in diffusers' own format. The caption describes the whole scene, so
the net learns to draw what the words name and the visible part lacks, and ground where nothing is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from lr_edit.picturebook import words
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.vae import GRID
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, Scene, Thing

RECIPE = Recipe(
    steps=8500,
    batch=32,
    rate=1.5e-3,
    warmup=100,
    cooldown=0.5,
    average=0.998,
    seed=21,
    muon=True,
    keep=1000,
)
WIDTH = 128  # of the text
_CHANNELS = (48, 112, 160)
TIMES = 1000
SCHEDULE = {
    "num_train_timesteps": TIMES,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "steps_offset": 1,
}
MASKS = 3  # masks drawn for each scene: two over a thing, one of another sort
_SHARES = torch.tensor([0.36, 0.36, 0.28])  # how often each of them is drawn
_EARLY = 1 / 3  # times are u^this: the words matter at high noise, where most of the draws then are
_OUTSIDE = 0.1  # weight of what is pasted over anyway
_MISSING = 1.0  # weight of telling from the middle of the net what is missing
IGNORE = -100  # a mask whose thing cannot be told


class SmallInpainter(nn.Module):
    """UNet and text encoder, and a head that only training needs: it reads from the middle of the
    net, under the mask, the kind and the colour of what is missing there."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel(
            sample_size=SIDE // GRID,
            in_channels=9,
            out_channels=4,
            block_out_channels=_CHANNELS,
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
        self.missing = nn.Linear(_CHANNELS[-1], len(KINDS) + len(COLOURS) + 2)

    def forward(
        self, entry: Tensor, t: Tensor, tokens: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The velocity (n, 4, 16, 16) and the logits of what is missing."""
        caught: list[Tensor] = []
        hook = self.unet.mid_block.register_forward_hook(lambda *args: caught.append(args[2]))
        state = self.text(tokens).last_hidden_state
        velocity = self.unet(entry, t, encoder_hidden_states=state).sample
        hook.remove()
        rows, cols = caught[0].shape[-2:]
        under = F.adaptive_avg_pool2d(mask, (rows, cols))
        under = under / under.sum((2, 3), keepdim=True)
        return velocity, self.missing((caught[0] * under).sum((2, 3)))


@dataclass(frozen=True)
class Latents:
    """What training reads: latents of scenes and of their masked pictures, scaled to deviation 1.

    clean (N, 4, 16, 16), masked (N, MASKS, 4, 16, 16), masks (N, MASKS, 1, 16, 16), tokens (N, L),
    missing (N, MASKS, 2): kind and colour of what each mask hides.
    """

    clean: Tensor
    masked: Tensor
    masks: Tensor
    missing: Tensor
    tokens: Tensor


def build() -> SmallInpainter:
    """A fresh net."""
    torch.manual_seed(RECIPE.seed)
    return SmallInpainter()


Cells = tuple[int, int, int, int]  # left, top, right, bottom on the latent grid


def draw_mask(scene: Scene, rng: np.random.Generator, *, over: bool) -> tuple[Cells, Thing | None]:
    """A box of latent cells, over a thing or of another sort: on ground, anywhere, everywhere.

    Told with it: the one thing it is drawn over, or None.
    """
    cells = SIDE // GRID
    if over and scene.things:
        thing = scene.things[rng.integers(len(scene.things))]
        # Uneven: the shape must not tell the kind.
        slack = rng.exponential(1.3, 4).astype(int).tolist()
        return (
            max(0, thing.box.left // GRID - slack[0]),
            max(0, thing.box.top // GRID - slack[1]),
            min(cells, -(-thing.box.right // GRID) + slack[2]),
            min(cells, -(-thing.box.bottom // GRID) + slack[3]),
        ), thing
    kind = rng.choice(["ground", "free", "all"], p=[0.55, 0.33, 0.12])
    if kind == "all":
        return (0, 0, cells, cells), None
    for _ in range(50):
        wide, high = rng.integers(3, 12, 2)
        left, top = (int(rng.integers(0, cells - n + 1)) for n in (wide, high))
        cell = (left, top, left + int(wide), top + int(high))
        if kind != "ground" or not covered(scene, cell):
            break
    return cell, None


def covered(scene: Scene, cell: Cells) -> list[Thing]:
    """The things that a box of cells touches."""
    left, top, right, bottom = (GRID * v for v in cell)
    return [
        thing
        for thing in scene.things
        if left < thing.box.right
        and thing.box.left < right
        and top < thing.box.bottom
        and thing.box.top < bottom
    ]


def missing_labels(scene: Scene, cell: Cells, *, thing: Thing | None) -> tuple[int, int]:
    """Class of kind and colour of what a mask hides: the last of each is nothing."""
    if thing:
        return KINDS.index(thing.kind), list(COLOURS).index(thing.colour)
    return (IGNORE, IGNORE) if covered(scene, cell) else (len(KINDS), len(COLOURS))


@torch.no_grad()
def encode(vae: AutoencoderKL, pool: Pool, *, path: Path, batch: int = 64) -> Latents:
    """Every scene and its masked pictures through the autoencoder, once; kept at `path`."""
    if not path.exists():
        scale = vae.config.scaling_factor
        parts: dict[str, list[Tensor]] = {"clean": [], "masked": [], "masks": [], "missing": []}
        for start in range(0, len(pool), batch):
            rows = range(start, min(start + batch, len(pool)))
            x = pool.pictures(list(rows)) * 2 - 1
            m, missing = zip(*(_masks(pool.scenes[row], row) for row in rows), strict=True)
            full = torch.stack(m).repeat_interleave(GRID, -2).repeat_interleave(GRID, -1)
            z = [x] + [x * (1 - full[:, c]) for c in range(MASKS)]
            z = [vae.encode(v).latent_dist.mode().mul(scale).half() for v in z]
            parts["clean"].append(z[0])
            parts["masked"].append(torch.stack(z[1:], 1))
            parts["masks"].append(torch.stack(m).half())
            parts["missing"].append(torch.stack(missing))
        save_file({k: torch.cat(v).contiguous() for k, v in parts.items()}, path)
    return Latents(**load_file(path), tokens=words.encode(pool.captions))


def _masks(scene: Scene, row: int) -> tuple[Tensor, Tensor]:
    """The masks of a scene (MASKS, 1, 16, 16), and what each hides (MASKS, 2)."""
    masks, missing = torch.zeros(MASKS, 1, SIDE // GRID, SIDE // GRID), []
    for copy in range(MASKS):
        rng = np.random.default_rng([7, row, copy])
        cell, thing = draw_mask(scene, rng, over=copy < MASKS - 1)
        left, top, right, bottom = cell
        masks[copy, :, top:bottom, left:right] = 1
        missing.append(missing_labels(scene, cell, thing=thing))
    return masks, torch.tensor(missing)


def loss(
    net: SmallInpainter, data: Latents, *, indices: Tensor, generator: torch.Generator
) -> Tensor:
    """Squared error of the velocity under the mask, and what is missing there; 10% without words.

    The second term teaches in hundreds of steps which of the named things is the missing one.
    """
    n = len(indices)
    which = torch.multinomial(_SHARES, n, replacement=True, generator=generator)
    x = data.clean[indices].float()
    masked, mask = data.masked[indices, which].float(), data.masks[indices, which].float()
    noise = torch.randn(x.shape, generator=generator)
    t = (torch.rand(n, generator=generator) ** _EARLY * (TIMES - 1)).round().long()
    tokens, missing = data.tokens[indices].clone(), data.missing[indices, which].clone()
    dropped = torch.rand(n, generator=generator) < 0.1
    tokens[dropped], missing[dropped] = words.encode([""]), IGNORE
    signal, level = levels(scheduler(), t)
    noisy, velocity = signal * x + level * noise, signal * noise - level * x
    entry = torch.cat([noisy, mask, masked], 1)
    at = home(net)
    entry = entry.to(at, memory_format=torch.channels_last)
    velocity, mask, missing = velocity.to(at), mask.to(at), missing.to(at)
    guess, labels = net(entry, t.to(at), tokens.to(at), mask)
    weight = _OUTSIDE + mask
    error = (weight * (guess - velocity).square()).sum() / (4 * weight.sum())
    kind, colour = labels.split([len(KINDS) + 1, len(COLOURS) + 1], dim=1)
    naming = F.cross_entropy(kind, missing[:, 0]) + F.cross_entropy(colour, missing[:, 1])
    return error + _MISSING * naming


def scheduler() -> DPMSolverMultistepScheduler:
    """The noise schedule, and the solver that the pipelines are exported with."""
    return DPMSolverMultistepScheduler(**SCHEDULE)


def levels(scheduler: DPMSolverMultistepScheduler, t: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise level at time t, (n, 1, 1, 1) each."""
    power = scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
    return power.sqrt(), (1 - power).sqrt()


def pipeline(net: SmallInpainter, vae: AutoencoderKL) -> StableDiffusionInpaintPipeline:
    """The parts as diffusers knows them."""
    return StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=net.text,
        tokenizer=words.tokenizer(),
        unet=net.unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(net: SmallInpainter, vae: AutoencoderKL, *, folder: Path) -> None:
    """The pipeline in half precision, as `from_pretrained` reads it."""
    save_halves(pipeline(net, vae), folder)


def save_halves(halves: DiffusionPipeline, folder: Path) -> None:
    """Write a pipeline's folder, its weights in half precision; in memory they stay as they are."""
    halves.vae.register_to_config(_name_or_path="")  # else the folder it was loaded from is kept
    dtypes = [(part, part.dtype) for part in (halves.vae, halves.text_encoder, halves.unet)]
    for part, _ in dtypes:
        part.half()
    halves.save_pretrained(folder)
    for part, dtype in dtypes:
        part.to(dtype)
