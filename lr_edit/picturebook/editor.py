"""The small instruction editor, a stand-in for InstructPix2Pix: it changes the picture as a whole.

What enters is the shipped inpainter, whose weights it starts from as InstructPix2Pix starts from
Stable Diffusion, and pairs of drawn scenes with what turns one into the other; what leaves is a
StableDiffusionInstructPix2PixPipeline in diffusers' own format. No mask and no box ever enters it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from lr_edit.instruct import write_instruction
from lr_edit.picturebook import words
from lr_edit.picturebook.inpainter import IGNORE, TIMES, levels, save_halves, scheduler
from lr_edit.picturebook.pool import scene_rng
from lr_edit.picturebook.tasks import draw_edit
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.vae import GRID
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, Scene, Thing, draw

RECIPE = Recipe(
    steps=4000, batch=32, rate=1.2e-3, warmup=100, cooldown=0.6, average=0.998, seed=71, muon=True,
)  # fmt: skip
PAIRS = 12_000
_CATEGORIES = {"replace": 0.4, "recolour": 0.35, "remove": 0.15, "add": 0.1}
_SHORT = 0.3  # share of the instructions that name the thing alone, not the scene to be
_FIRST = 2_000_000  # beyond the scenes of other trainings
_EARLY = 1 / 2  # times are u^this: early ones more often, less so than for the inpainter
_KEPT = 0.3  # weight of what stays as it is
_NAMING = 0.5  # weight of telling from the middle of the net what is to be there
_DROPPED = 0.05  # of each: without words, without the picture, without both (the paper's 5%)
Cells = tuple[int, int, int, int]  # left, top, right, bottom on the latent grid


class SmallEditor(nn.Module):
    """UNet and text encoder, and a head that only training needs: it reads from the middle of the
    net, where the picture is to change, the kind and the colour of what is to be there."""

    def __init__(self, unet: UNet2DConditionModel, text: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text = unet, text
        width = unet.config.block_out_channels[-1]
        self.wanted = nn.Linear(width, len(KINDS) + len(COLOURS) + 2)

    def forward(
        self, entry: Tensor, t: Tensor, tokens: Tensor, changed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The velocity (n, 4, 16, 16) and the logits of what is wanted."""
        caught: list[Tensor] = []
        hook = self.unet.mid_block.register_forward_hook(lambda *args: caught.append(args[2]))
        state = self.text(tokens).last_hidden_state
        velocity = self.unet(entry, t, encoder_hidden_states=state).sample
        hook.remove()
        rows, cols = caught[0].shape[-2:]
        there = F.adaptive_avg_pool2d(changed, (rows, cols))
        there = there / there.sum((2, 3), keepdim=True)
        return velocity, self.wanted((caught[0] * there).sum((2, 3)))


@dataclass(frozen=True)
class Pairs:
    """What training reads: latents before (as the pipeline takes them) and after (of deviation 1).

    before, after (N, 4, 16, 16), changed (N, 4): the box of cells that changes, tokens (N, 2, L):
    the scene to be and the thing alone, wanted (N, 2): kind and colour of what is to be there.
    """

    before: Tensor
    after: Tensor
    changed: Tensor
    tokens: Tensor
    wanted: Tensor


def build(folder: Path, *, scale: float) -> SmallEditor:
    """The inpainter of a folder, with a picture in place of its mask and masked picture.

    Args:
        folder: A StableDiffusionInpaintPipeline, as the inpainter is exported.
        scale: Of the autoencoder's latents: the inpainter took pictures scaled, this takes them as
            they are.
    """
    torch.manual_seed(RECIPE.seed)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    text = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    old, unet.conv_in = unet.conv_in, nn.Conv2d(8, unet.conv_in.out_channels, 3, padding=1)
    with torch.no_grad():
        unet.conv_in.bias.copy_(old.bias)
        unet.conv_in.weight[:, :4] = old.weight[:, :4]
        unet.conv_in.weight[:, 4:] = old.weight[:, 5:] * scale
    unet.register_to_config(in_channels=8, _name_or_path="")
    text.config._name_or_path = ""
    return SmallEditor(unet.to(memory_format=torch.channels_last), text)


def draw_pair(index: int) -> tuple[Scene, Scene, Thing | None, Thing | None]:
    """A scene, what it is to be, and the thing that goes and the one that comes."""
    rng = scene_rng("pretrain", _FIRST + index)
    while True:
        category = str(rng.choice(list(_CATEGORIES), p=list(_CATEGORIES.values())))
        before, old, new = draw_edit(category, int(rng.integers(1, 4)), rng=rng)
        if category != "add":
            return before, before.swap(old, new), old, new
        if new:
            return before, Scene(before.ground, before.texture, (*before.things, new)), None, new


@torch.no_grad()
def encode(vae: AutoencoderKL, *, path: Path, count: int = PAIRS, batch: int = 64) -> Pairs:
    """Every pair through the autoencoder, once; kept at `path`."""
    if not path.exists():
        parts: dict[str, list[Tensor]] = {"before": [], "after": []}
        rows = [draw_pair(index) for index in range(count)]
        for start in range(0, count, batch):
            some = rows[start : start + batch]
            for name, scenes, scale in (
                ("before", [row[0] for row in some], 1.0),
                ("after", [row[1] for row in some], vae.config.scaling_factor),
            ):
                x = torch.from_numpy(np.stack([draw(scene) for scene in scenes]))
                z = vae.encode(x.permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist.mode()
                parts[name].append((z * scale).half())
        found = {name: torch.cat(each).contiguous() for name, each in parts.items()}
        found["changed"] = torch.tensor([_changed(row[2], row[3]) for row in rows])
        found["wanted"] = torch.tensor([_wanted(row[3]) for row in rows])
        found["tokens"] = torch.stack([_tokens(*row) for row in rows])
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(found, path)
    return Pairs(**load_file(path))


def _changed(old: Thing | None, new: Thing | None) -> Cells:
    """The cells about what goes and what comes."""
    boxes = torch.tensor([thing.box.as_tuple() for thing in (old, new) if thing])
    low, high = boxes[:, :2].amin(0) // GRID, (boxes[:, 2:].amax(0) + GRID - 1) // GRID
    left, top, right, bottom = (*low.tolist(), *high.tolist())
    return left, top, right, bottom


def _wanted(new: Thing | None) -> tuple[int, int]:
    """Class of kind and colour: the last of each is nothing."""
    if new is None:
        return len(KINDS), len(COLOURS)
    return KINDS.index(new.kind), list(COLOURS).index(new.colour)


def _tokens(before: Scene, after: Scene, old: Thing | None, new: Thing | None) -> Tensor:
    source = old.phrase if old else before.ground
    short = new.phrase if new else "nothing"
    return words.encode([write_instruction(source, text) for text in (after.caption, short)])


def loss(net: SmallEditor, data: Pairs, *, indices: Tensor, generator: torch.Generator) -> Tensor:
    """Squared error of the velocity, most of it where the picture changes, and what is to be there.

    5% each are without words, without the picture and without both, for the two guidances.
    """
    n = len(indices)
    x, before = data.after[indices].float(), data.before[indices].float()
    short = (torch.rand(n, generator=generator) < _SHORT).long()
    tokens, wanted = data.tokens[indices, short].clone(), data.wanted[indices].clone()
    drawn = torch.rand(n, generator=generator)
    speechless = (drawn < _DROPPED) | (drawn > 1 - _DROPPED)
    blind = drawn < 2 * _DROPPED
    tokens[speechless], wanted[speechless] = words.encode([""]), IGNORE
    before[blind], wanted[blind] = 0, IGNORE
    noise = torch.randn(x.shape, generator=generator)
    t = (torch.rand(n, generator=generator) ** _EARLY * (TIMES - 1)).round().long()
    signal, level = levels(scheduler(), t)
    noisy, velocity = signal * x + level * noise, signal * noise - level * x
    changed = _masks(data.changed[indices])
    at = home(net)
    entry = torch.cat([noisy, before], 1).to(at, memory_format=torch.channels_last)
    velocity, changed, wanted = velocity.to(at), changed.to(at), wanted.to(at)
    guess, labels = net(entry, t.to(at), tokens.to(at), changed)
    weight = _KEPT + changed
    error = (weight * (guess - velocity).square()).sum() / (4 * weight.sum())
    kind, colour = labels.split([len(KINDS) + 1, len(COLOURS) + 1], dim=1)
    naming = F.cross_entropy(kind, wanted[:, 0]) + F.cross_entropy(colour, wanted[:, 1])
    return error + _NAMING * naming


def _masks(cells: Tensor) -> Tensor:
    at = torch.arange(SIDE // GRID)
    left, top, right, bottom = cells[:, :, None].unbind(1)
    wide, high = (at >= left) & (at < right), (at >= top) & (at < bottom)
    return (high[:, :, None] & wide[:, None, :])[:, None].float()


def export(net: SmallEditor, vae: AutoencoderKL, *, folder: Path) -> None:
    """The pipeline in half precision, as `from_pretrained` reads it."""
    pipe = StableDiffusionInstructPix2PixPipeline(
        vae=vae, text_encoder=net.text, tokenizer=words.tokenizer(), unet=net.unet,
        scheduler=scheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    save_halves(pipe, folder)
