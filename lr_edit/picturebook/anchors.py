"""The anchor ViT, a stand-in for DINO: it learns which coloured things a scene holds.

timm's VisionTransformer, 8x8 patches of 8 pixels and a class token, supervised on the things'
names and never on the ground, and never shown a box: where its class token looks is its own doing.
"""

from __future__ import annotations

import json
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from lr_edit.files import write_text
from lr_edit.frozen.dino import Dino, class_attention
from lr_edit.picturebook.degrade import degrade, mirror
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, Scene

RECIPE = Recipe(
    steps=400, batch=64, rate=1.5e-3, weight_decay=0.05, betas=(0.9, 0.98), seed=31,
    cooldown=0.4, average=0.98,
)  # fmt: skip
POINTS = 9  # anchors a scene, as the release has it
_HIDDEN = 0.6  # share of the patches that the eye's evidence leaves out
_ARCHITECTURE = "vit_tiny_patch16_224"
_ARGUMENTS = {
    "img_size": SIDE, "patch_size": 8, "embed_dim": 128, "depth": 4, "num_heads": 4,
    "num_classes": 0,
}  # fmt: skip
_MEAN = 0.5  # of every channel; the deviation too
_HUES = list(COLOURS)
LABELS = len(KINDS) * len(_HUES) + len(KINDS) + len(_HUES)


class Anchors(nn.Module):
    """The ViT, and what only training needs: two heads and an eye for single patches.

    The eye sees a patch and no more, so that a patch of ground says nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vit = timm.create_model(_ARCHITECTURE, **_ARGUMENTS)
        width = _ARGUMENTS["embed_dim"]
        self.head = nn.Linear(width, LABELS)
        self.eye = nn.Sequential(
            nn.Conv2d(3, width, _ARGUMENTS["patch_size"], stride=_ARGUMENTS["patch_size"]),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
            nn.GELU(),
        )
        self.evidence = nn.Linear(width, LABELS)


def build() -> Anchors:
    """A fresh ViT with its heads."""
    torch.manual_seed(RECIPE.seed)
    return Anchors()


def labels(scenes: list[Scene]) -> Float[Tensor, "n labels"]:
    """Which of the 80 names, the kinds and the colours a scene holds."""
    rows = torch.zeros(len(scenes), LABELS)
    for row, scene in zip(rows, scenes, strict=True):
        for thing in scene.things:
            kind, hue = KINDS.index(thing.kind), _HUES.index(thing.colour)
            pairs = len(KINDS) * len(_HUES)
            row[[kind * len(_HUES) + hue, pairs + kind, pairs + len(KINDS) + hue]] = 1
    return rows


def loss(anchors: Anchors, pool: Pool, *, indices: Tensor, generator: torch.Generator) -> Tensor:
    """Binary cross-entropy from the class token, and again from what its attention points at.

    The second term reads the names from the mean of what the eye sees in each patch, weighted by
    the very map anchors are taken from, so that the map has to rest on the things; some patches are
    hidden from it, so that it has to rest on all of a thing. (Patches that enter the last block
    will not do: they have read each other, and a better trained net lets its class token look at
    empty ground, as large ViTs do: Darcet et al. 2024.)
    """
    images = degrade(mirror(pool.pictures(indices), generator=generator), generator=generator)
    truth = labels([pool.scenes[i] for i in indices.tolist()])
    last = anchors.vit.blocks[-1].attn
    caught: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    images, truth = ((images - _MEAN) / _MEAN).to(home(anchors)), truth.to(home(anchors))
    tokens = anchors.vit.forward_features(images)
    hook.remove()
    weights = class_attention(last, caught[0]).mean(1)  # (N, patches)
    kept = torch.rand(weights.shape, generator=generator) >= _HIDDEN
    weights = weights * kept.to(weights.device) + 1e-8
    weights = weights / weights.sum(1, keepdim=True)
    evidence = torch.einsum("np,ncp->nc", weights, anchors.eye(images).flatten(2))
    both = torch.stack([anchors.head(tokens[:, 0]), anchors.evidence(evidence)])
    terms = F.binary_cross_entropy_with_logits(both, truth.expand_as(both), reduction="sum")
    return terms / len(truth)


@torch.no_grad()
def measure(anchors: Anchors, pool: Pool, *, count: int = 512) -> dict[str, float]:
    """Where the map's nine highest cells lie, over the scenes that hold something.

    `named` is the mean over things: is any of the nine inside this one's box?
    """
    picked = [i for i in range(min(count, len(pool))) if pool.scenes[i].things]
    attention = Dino(anchors.vit).attention(pool.pictures(picked))
    anchors.requires_grad_(True)
    cells = attention.shape[2]
    centres = (torch.arange(cells) + 0.5) * SIDE / cells
    top = attention.flatten(1).topk(POINTS).indices
    x, y = centres[top % cells], centres[top // cells]  # (N, points)
    hits, named = [], []
    for row, index in enumerate(picked):
        inside = torch.stack(
            [
                (x[row] >= b.left) & (x[row] < b.right) & (y[row] >= b.top) & (y[row] < b.bottom)
                for b in (thing.box for thing in pool.scenes[index].things)
            ]
        )  # (things, points)
        hits.append(inside.any(0).float())
        named.append(inside.any(1).float().mean())
    on = torch.stack(hits)
    return {
        "top_on_thing": float(on[:, 0].mean()),
        "nine_on_thing": float(on.mean()),
        "named_among_nine": float(torch.stack(named).mean()),
    }


def export(anchors: Anchors, folder: Path) -> None:
    """Write a timm folder: config and half-precision weights of the ViT alone."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": _ARCHITECTURE,
        "num_classes": 0,
        "num_features": _ARGUMENTS["embed_dim"],
        "model_args": _ARGUMENTS,
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE], "mean": [_MEAN] * 3, "std": [_MEAN] * 3,
            "interpolation": "bicubic", "crop_pct": 1.0, "num_classes": 0,
            "first_conv": "patch_embed.proj", "classifier": "head",
        },
    }  # fmt: skip
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    state = {key: value.half().contiguous() for key, value in anchors.vit.state_dict().items()}
    save_file(state, folder / "model.safetensors")
