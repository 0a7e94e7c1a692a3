"""Things that a person would not call a thing: what the judge must not see one in.

half     a thing of which a part is left
hybrid   one half of a thing, the other of another kind
patch    a shapeless patch in the thing's colour
warp     a thing out of shape

Drawn, and then painted over lightly by the inpainter, as intact things are: both look as edits do,
and the look tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor

from lr_edit.frozen import Inpainter
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, Scene, Thing, draw
from lr_edit.types import Box, Sampler

EVERY = 3  # thing is spoilt
GROWN = 4  # pixels about a thing that are painted over with it
# How far the inpainter goes: less where the thing is spoilt, or it would mend it.
STRENGTHS = {False: (0.3, 0.4, 0.5, 0.6, 0.7), True: (0.2, 0.3)}
_ZOOM = 4  # patches are drawn at four times the size


@dataclass(frozen=True)
class Painted:
    """Scenes with one thing in them painted over: `kinds` are indices, of spoilt things one more
    than there are kinds; `boxes` where the thing stands."""

    images: UInt8[Tensor, "n 3 side side"]
    kinds: Int[Tensor, " n"]
    colours: Int[Tensor, " n"]
    boxes: Int[Tensor, "n 4"]

    def __len__(self) -> int:
        return len(self.images)


def load_painted(pool: Pool, count: int, *, inpainter: Inpainter, path: Path) -> Painted:
    """Painted things of a pool's scenes, a third of them spoilt; kept in a file."""
    if not path.exists():
        made = make_painted(pool, count, inpainter=inpainter)
        part = path.with_suffix(".part")
        save_file({name: value.contiguous() for name, value in vars(made).items()}, part)
        part.replace(path)
    return Painted(**load_file(path))


def make_painted(pool: Pool, count: int, *, inpainter: Inpainter) -> Painted:
    """The same, made: each thing drawn intact or spoilt, then noised and painted over."""
    images, kinds, colours, boxes = [], [], [], []
    generator = torch.Generator().manual_seed(0)
    places = (
        (index, thing) for index, scene in enumerate(pool.scenes) for thing in scene.things[:1]
    )
    for (index, thing), _ in zip(places, range(count), strict=False):
        scene, spoilt = pool.scenes[index], index % EVERY == EVERY - 1
        image = pool.pictures([index])[0]
        image = spoil(scene, thing, image, generator) if spoilt else warp(image, 1.0, generator)
        images.append(
            _paint(
                image, scene, thing, inpainter=inpainter, strengths=STRENGTHS[spoilt],
                generator=generator,
            )
        )  # fmt: skip
        kinds.append(len(KINDS) if spoilt else KINDS.index(thing.kind))
        colours.append(list(COLOURS).index(thing.colour))
        boxes.append(thing.box.as_tuple())
    return Painted(
        torch.stack(images), torch.tensor(kinds), torch.tensor(colours), torch.tensor(boxes)
    )


def _paint(
    image: Float[Tensor, "3 side side"],
    scene: Scene,
    thing: Thing,
    *,
    inpainter: Inpainter,
    strengths: tuple[float, ...],
    generator: torch.Generator,
) -> UInt8[Tensor, "3 side side"]:
    """The picture with the thing's place painted over by what its caption says, a part of the way
    from noise."""
    left, top, right, bottom = thing.box.as_tuple()
    mask = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    mask[..., max(0, top - GROWN) : bottom + GROWN, max(0, left - GROWN) : right + GROWN] = True
    strength = strengths[_below(len(strengths), generator)]
    guidance = 2 + 4 * float(_draw(generator))
    made = inpainter.inpaint(
        image[None],
        scene.caption,
        masks=mask,
        noise=inpainter.noise(SIDE, _below(2**31, generator)),
        sampler=Sampler(steps=10, guidance=guidance, guided=0.5, strength=strength),
    )
    return (torch.where(mask, made, image)[0].clamp(0, 1) * 255).round().to(torch.uint8)


def spoil(
    scene: Scene, thing: Thing, image: Float[Tensor, "3 h w"], generator: torch.Generator
) -> Float[Tensor, "3 h w"]:
    """The scene's picture with one of its things spoilt in one of the four ways."""
    return WAYS[_below(len(WAYS), generator)](scene, thing, image, generator)


def _halve(scene: Scene, thing: Thing, image: Tensor, generator: torch.Generator) -> Tensor:
    without = _picture(scene.swap(thing, None))
    return torch.where(_part(thing.box, (0.4, 0.85), generator), without, image)


def _join(scene: Scene, thing: Thing, image: Tensor, generator: torch.Generator) -> Tensor:
    kinds = [kind for kind in KINDS if kind != thing.kind]
    other = replace(thing, kind=kinds[_below(len(kinds), generator)])
    part = _part(thing.box, (0.35, 0.65), generator)
    return torch.where(part, _picture(scene.swap(thing, other)), image)


def _part(box: Box, shares: tuple[float, float], generator: torch.Generator) -> Bool[Tensor, "h w"]:
    """A half-plane at any angle that holds a share of a box between two."""
    angle, share = (_draw(generator, 2) * torch.tensor([2 * math.pi, 1.0])).tolist()
    at = torch.arange(SIDE) + 0.5
    along = at * math.cos(angle) + at[:, None] * math.sin(angle)
    inside = along[box.top : box.bottom, box.left : box.right].flatten()
    return along <= inside.quantile(shares[0] + (shares[1] - shares[0]) * share)


def _patch(scene: Scene, thing: Thing, _: Tensor, generator: torch.Generator) -> Tensor:
    """A closed curve of a few waves about the thing's middle; half of them have its dark line, half
    a detail."""
    zoomed = Image.fromarray(draw(scene.swap(thing, None))).resize((SIDE * _ZOOM,) * 2)
    pen, (left, top, right, bottom) = ImageDraw.Draw(zoomed), thing.box.as_tuple()
    drawn = _draw(generator, 12).numpy()
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    waves = np.arange(2, 6)[:, None]
    swings = (0.12 + 0.22 * drawn[:4, None]) / np.sqrt(waves)
    radius = 1 + (swings * np.sin(waves * angles + 2 * math.pi * drawn[4:8, None])).sum(0)
    radius = radius.clip(0.25, 1.6)
    middle = np.array([left + right, top + bottom]) / 2
    extent = np.array([right - left, bottom - top]) / 2 * (0.55 + 0.45 * drawn[8:10])
    around = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
    points = [tuple(point) for point in (_ZOOM * (middle + extent * around)).tolist()]
    colour = COLOURS[thing.colour]
    dark = tuple(int(0.6 * value) for value in colour)
    pen.polygon(points, fill=colour)
    if drawn[10] < 0.5:
        pen.line([*points, points[0]], fill=dark, width=_ZOOM)
    if drawn[11] < 0.5:
        x, y = (_ZOOM * (middle + extent * (drawn[:2] - 0.5))).tolist()
        size = _ZOOM * (1 + 2 * float(drawn[2]))
        pen.ellipse((x - size, y - size, x + size, y + size), fill=dark)
    return _tensor(np.asarray(zoomed.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))


def _bend(_: Scene, __: Thing, image: Tensor, generator: torch.Generator) -> Tensor:
    return warp(image, 3 + 3 * float(_draw(generator)), generator, cells=6 + _below(6, generator))


WAYS: tuple[Callable[[Scene, Thing, Tensor, torch.Generator], Tensor], ...] = (
    _halve, _join, _patch, _bend,
)  # fmt: skip


def warp(
    image: Float[Tensor, "3 h w"], amount: float, generator: torch.Generator, *, cells: int = 4
) -> Float[Tensor, "3 h w"]:
    """A picture out of shape: every place is moved by some `amount` of pixels, neighbours alike."""
    moves = torch.randn(1, 2, cells, cells, generator=generator) * amount * 2 / SIDE
    moves = F.interpolate(moves, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    same = F.affine_grid(torch.eye(2, 3)[None], [1, 3, SIDE, SIDE], align_corners=False)
    grid = same + moves.permute(0, 2, 3, 1)
    return F.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]


def _picture(scene: Scene) -> Float[Tensor, "3 h w"]:
    return _tensor(draw(scene))


def _tensor(pixels: np.ndarray) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def _draw(generator: torch.Generator, count: int = 1) -> Float[Tensor, " count"]:
    return torch.rand(count, generator=generator)


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
