"""The perceptual trunk: it learns kinds and colours; the lpips package then compares its features.

Plain convolutions, exported as a folder of config.json and model.safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from lr_edit.frozen.perceptual import Perceptual, Trunk
from lr_edit.picturebook.anchors import LABELS, labels
from lr_edit.picturebook.degrade import blur, degrade, mirror
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe
from lr_edit.picturebook.world import COLOURS, KINDS, draw

RECIPE = Recipe(
    steps=400, batch=48, rate=1.5e-3, weight_decay=0.02, seed=51, cooldown=0.6, average=0.98
)
_WIDTHS = (16, 32, 48, 64, 96)


class Named(nn.Module):
    """The trunk and the head that training needs; only the trunk is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(_WIDTHS)
        self.head = nn.Linear(_WIDTHS[-1], LABELS)


def build() -> Named:
    """A fresh trunk with its head."""
    torch.manual_seed(RECIPE.seed)
    return Named()


def loss(named: Named, pool: Pool, indices: Tensor, generator: torch.Generator) -> Tensor:
    """Binary cross-entropy of which names, kinds and colours a scene holds."""
    images = degrade(mirror(pool.pictures(indices), generator=generator), generator=generator)
    truth = labels([pool.scenes[i] for i in indices.tolist()])
    last = named.trunk((images - 0.5) / 0.225)[-1]
    logits = named.head(last.amax((2, 3)))
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(1).mean()


@torch.no_grad()
def measure(
    named: Named,
    pool: Pool,
    count: int = 200,
    *,
    reconstruct: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n 3 h w"]] = blur,
) -> dict[str, float]:
    """Share of triples in the right order: reconstruction < recolour < replacement.

    A recolour changes a thing's colour; a replacement also its kind. `reconstruct` is the
    autoencoder's round trip; a blur stands in for it.
    """
    rng = np.random.default_rng(0)
    picked = [i for i in range(len(pool)) if pool.scenes[i].things][:count]
    recoloured, replaced = [], []
    for index in picked:
        scene = pool.scenes[index]
        old = scene.things[rng.integers(len(scene.things))]
        colour = str(rng.choice([c for c in COLOURS if c != old.colour]))
        kind = str(rng.choice([k for k in KINDS if k != old.kind]))
        recoloured.append(draw(scene.swap(old, replace(old, colour=colour))))
        replaced.append(draw(scene.swap(old, replace(old, colour=colour, kind=kind))))
    distance = Perceptual(named.trunk)
    source = pool.pictures(picked)
    made = distance(source, reconstruct(source))
    near, far = (distance(source, _pictures(drawn)) for drawn in (recoloured, replaced))
    named.requires_grad_(True)
    return {
        "ordered": float(((made < near) & (near < far)).float().mean()),
        "reconstruction_nearer": float((made < near).float().mean()),
        "recolour_nearer": float((near < far).float().mean()),
    }


def _pictures(drawn: list[np.ndarray]) -> Float[Tensor, "n 3 h w"]:
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255


def export(named: Named, folder: Path) -> None:
    """Write the trunk's widths and half-precision weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"widths": _WIDTHS}, indent=2) + "\n")
    state = {key: value.half().contiguous() for key, value in named.trunk.state_dict().items()}
    save_file(state, folder / "model.safetensors")
