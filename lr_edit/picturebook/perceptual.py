"""The perceptual trunk: it learns kinds and colours, and which of three changes is the smallest.

As LPIPS was fitted to triples that people had ordered, the trunk is fitted to triples whose order
the world knows: a round trip through the autoencoder changes nothing that has a name, a recolour
changes one word, a replacement two. Plain convolutions, exported as config.json and
model.safetensors; the lpips package compares the features.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lr_edit.frozen.perceptual import Perceptual, Trunk
from lr_edit.picturebook.anchors import LABELS, labels
from lr_edit.picturebook.degrade import degrade, mirror
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.world import COLOURS, KINDS, draw

RECIPE = Recipe(
    steps=700, batch=32, rate=1.5e-3, weight_decay=0.02, seed=51, cooldown=0.6, average=0.98
)
_TRIPLES = 3000  # scenes whose changes are drawn for training
_MARGIN = 0.7  # by which logarithms of distances should differ: a factor of two
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


Reconstruct = Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n 3 h w"]]


@dataclass(frozen=True)
class Triples:
    """Rows of a pool's scenes that hold something, and three changed pictures of each: uint8
    (n, 3, 64, 64), the nearest first."""

    rows: Tensor
    rebuilt: UInt8[Tensor, "n 3 h w"]
    recoloured: UInt8[Tensor, "n 3 h w"]
    replaced: UInt8[Tensor, "n 3 h w"]

    def __len__(self) -> int:
        return len(self.rows)


def make_triples(pool: Pool, count: int, *, reconstruct: Reconstruct) -> Triples:
    """The first `count` scenes that hold something. A recolour changes the colour of one of their
    things, a replacement its kind too; `reconstruct` is the autoencoder's round trip."""
    rng = np.random.default_rng(0)
    rows = [i for i in range(len(pool)) if pool.scenes[i].things][:count]
    recoloured, replaced = [], []
    for index in rows:
        scene = pool.scenes[index]
        old = scene.things[rng.integers(len(scene.things))]
        colour = str(rng.choice([c for c in COLOURS if c != old.colour]))
        kind = str(rng.choice([k for k in KINDS if k != old.kind]))
        recoloured.append(draw(scene.swap(old, replace(old, colour=colour))))
        replaced.append(draw(scene.swap(old, replace(old, colour=colour, kind=kind))))
    rebuilt = torch.cat([reconstruct(pool.pictures(part)) for part in _parts(rows)])
    drawn = (torch.from_numpy(np.stack(d)).permute(0, 3, 1, 2) for d in (recoloured, replaced))
    return Triples(torch.tensor(rows), (rebuilt * 255).round().to(torch.uint8), *drawn)


def _parts(rows: list[int], size: int = 64) -> list[list[int]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def load_triples(pool: Pool, path: Path, *, reconstruct: Reconstruct) -> Triples:
    """What training reads, made once and kept at `path`."""
    if not path.exists():
        made = make_triples(pool, _TRIPLES, reconstruct=reconstruct)
        save_file({key: value.contiguous() for key, value in vars(made).items()}, path)
    return Triples(**load_file(path))


def loss(
    named: Named, pool: Pool, *, triples: Triples, indices: Tensor, generator: torch.Generator
) -> Tensor:
    """Cross-entropy of the names a scene holds, and the order of distances within each triple."""
    rows = triples.rows[indices]
    clean = pool.pictures(rows)
    images = degrade(mirror(clean, generator=generator), generator=generator)
    truth = labels([pool.scenes[i] for i in rows.tolist()])
    changed = [
        part[indices].float() / 255
        for part in (triples.rebuilt, triples.recoloured, triples.replaced)
    ]
    outputs = named.trunk(((torch.cat([images, clean, *changed]) - 0.5) / 0.225).to(home(named)))
    logits = named.head(outputs[-1][: len(rows)].amax((2, 3)))
    names = (
        F.binary_cross_entropy_with_logits(logits, truth.to(logits.device), reduction="none")
        .sum(1)
        .mean()
    )
    near, middle, far = (distances(outputs, len(rows), part=part).log() for part in (2, 3, 4))
    # Sharp at the boundary: what is already in order by far adds nothing.
    order = F.softplus(4 * (near - middle + _MARGIN)) + F.softplus(4 * (middle - far + _MARGIN / 4))
    return names + order.mean()


def distances(outputs: list[Tensor], n: int, *, part: int) -> Float[Tensor, " n"]:
    """LPIPS without linear heads between rows [n, 2n) and those of a part, as in its package:
    squared differences of features of unit length, means over places, sums over stages."""
    total = outputs[0].new_zeros(n)
    for features in outputs:
        unit = features / (features.square().sum(1, keepdim=True) + 1e-8).sqrt()
        pair = unit[n : 2 * n] - unit[part * n : (part + 1) * n]
        total = total + pair.square().sum(1).mean((1, 2))
    return total


@torch.no_grad()
def measure(
    named: Named, pool: Pool, *, count: int = 200, reconstruct: Reconstruct
) -> dict[str, float]:
    """Share of held-out triples in the right order: reconstruction < recolour < replacement."""
    triples = make_triples(pool, count, reconstruct=reconstruct)
    distance = Perceptual(named.trunk)
    source = pool.pictures(triples.rows)
    made, near, far = (
        distance(source, part.float() / 255)
        for part in (triples.rebuilt, triples.recoloured, triples.replaced)
    )
    named.requires_grad_(True)
    return {
        "ordered": float(((made < near) & (near < far)).float().mean()),
        "reconstruction_nearer": float((made < near).float().mean()),
        "recolour_nearer": float((near < far).float().mean()),
    }


def export(named: Named, folder: Path) -> None:
    """Write the trunk's widths and half-precision weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(
        json.dumps({"widths": _WIDTHS}, indent=2) + "\n", encoding="utf-8"
    )
    state = {key: value.half().contiguous() for key, value in named.trunk.state_dict().items()}
    save_file(state, folder / "model.safetensors")
