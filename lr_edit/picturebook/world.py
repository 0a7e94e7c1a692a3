"""The picture-book world: 64x64 scenes of coloured things on textured grounds, drawn from a seed.

What enters is a seed; what leaves is a `Scene` that knows its own words and the exact box of
everything in it. That box is the ground truth no photo set for text-driven editing has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from lr_edit.types import Box

SIDE = 64  # pixels
_ZOOM = 4  # things are drawn at four times the size and averaged down: anti-aliasing

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "green": (39, 160, 80),
    "blue": (41, 98, 220),
    "yellow": (250, 210, 50),
    "purple": (140, 70, 190),
    "orange": (245, 130, 40),
    "white": (245, 245, 245),
    "pink": (245, 130, 180),
}
GROUNDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "grass": ((90, 150, 60), (130, 190, 90)),
    "sand": ((225, 200, 140), (240, 220, 170)),
    "water": ((40, 110, 150), (90, 170, 200)),
    "snow": ((215, 225, 235), (245, 248, 252)),
    "night": ((15, 20, 50), (40, 45, 90)),
    "brick": ((140, 75, 60), (170, 95, 80)),
}
# What each drawing covers, in radii around its centre: left, top, right, bottom.
_EXTENT: dict[str, tuple[float, float, float, float]] = {
    "ball": (1.0, 1.0, 1.0, 1.0),
    "crate": (0.9, 0.9, 0.9, 0.9),
    "tree": (0.8, 1.0, 0.8, 1.0),
    "house": (1.0, 1.0, 1.0, 1.0),
    "star": (0.96, 1.0, 0.96, 0.81),
    "fish": (1.0, 0.6, 1.0, 0.6),
    "boat": (1.0, 1.0, 1.0, 1.0),
    "cup": (0.7, 0.9, 1.0, 0.8),
    "flower": (0.72, 1.0, 0.72, 1.0),
    "mushroom": (1.0, 1.0, 1.0, 0.8),
}
KINDS: tuple[str, ...] = tuple(_EXTENT)
RADII = (8.5, 18.0)  # pixels: the smallest and the largest thing


@dataclass(frozen=True)
class Thing:
    """One drawn object: its words, its centre and its radius in pixels."""

    kind: str
    colour: str
    x: float
    y: float
    radius: float

    @property
    def name(self) -> str:
        """Two words, as captions say them: "red boat"."""
        return f"{self.colour} {self.kind}"

    @property
    def phrase(self) -> str:
        """With its article: "a red boat"."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    @property
    def box(self) -> Box:
        """The tight half-open pixel box of the drawing, rounded outward, clamped to the scene."""
        left, top, right, bottom = _EXTENT[self.kind]
        r = self.radius
        return Box(
            max(0, math.floor(self.x - left * r)),
            max(0, math.floor(self.y - top * r)),
            min(SIDE, math.ceil(self.x + right * r)),
            min(SIDE, math.ceil(self.y + bottom * r)),
        )


@dataclass(frozen=True)
class Scene:
    """A ground, the seed of its texture, and the things on it."""

    ground: str
    texture: int
    things: tuple[Thing, ...]

    @property
    def caption(self) -> str:
        """Things in one canonical order, so that one scene has one caption."""
        order = sorted(
            self.things, key=lambda t: (KINDS.index(t.kind), list(COLOURS).index(t.colour))
        )
        names = " and ".join(thing.phrase for thing in order)
        return f"{names or 'nothing'} on {self.ground}"

    def swap(self, old: Thing, new: Thing | None) -> Scene:
        """The same scene with one thing replaced, or taken away (`None`)."""
        things = (new if thing == old else thing for thing in self.things)
        return replace(self, things=tuple(thing for thing in things if thing is not None))


def sample_scene(rng: np.random.Generator, count: int | None = None) -> Scene:
    """A random scene with `count` things (0 to 3; drawn when not given), none touching another."""
    if count is None:
        count = int(rng.choice(4, p=[0.06, 0.48, 0.32, 0.14]))
    ground, texture = str(rng.choice(list(GROUNDS))), int(rng.integers(2**31))
    things: list[Thing] = []
    while len(things) < count:
        thing = place_thing(rng, things)
        if thing is None:  # the scene is full: start again
            things = []
        else:
            things.append(thing)
    return Scene(ground, texture, tuple(things))


def place_thing(rng: np.random.Generator, others: list[Thing], *, tries: int = 40) -> Thing | None:
    """A random thing that fits beside `others` and shares no name with them, or None."""
    low, high = RADII if len(others) < 2 else (RADII[0], 13.0)
    for _ in range(tries):
        radius = float(rng.uniform(low, high))
        x, y = (float(v) for v in rng.uniform(radius + 1, SIDE - radius - 1, 2))
        kind, colour = str(rng.choice(KINDS)), str(rng.choice(list(COLOURS)))
        thing = Thing(kind, colour, x, y, radius)
        if all(thing.name != o.name and not _touch(thing, o) for o in others):
            return thing
    return None


def _touch(a: Thing, b: Thing, gap: float = 2.0) -> bool:
    reach = a.radius + b.radius + gap
    return abs(a.x - b.x) < reach and abs(a.y - b.y) < reach


def draw(scene: Scene) -> np.ndarray:
    """The scene as uint8 RGB (64, 64, 3)."""
    image = _ground(scene.ground, scene.texture).resize((SIDE * _ZOOM,) * 2)
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        _DRAWINGS[thing.kind](
            _Pen(pen, thing.x * _ZOOM, thing.y * _ZOOM, thing.radius * _ZOOM, COLOURS[thing.colour])
        )
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _ground(name: str, texture: int) -> Image.Image:
    rng = np.random.default_rng(texture)
    side = SIDE * _ZOOM // 2
    clouds = rng.normal(size=(8, 8))
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    soft = Image.fromarray((clouds * 255).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    mix = np.asarray(soft) / 255.0 * 0.7 + rng.normal(size=(side, side)) * 0.05 + 0.15
    mix = np.clip(mix, 0, 1)[..., None]
    dark, light = (np.array(c) for c in GROUNDS[name])
    image = dark * (1 - mix) + light * mix
    if name == "brick":
        course = side // 8
        for row in range(8):
            image[row * course : row * course + 2] *= 0.75
            for x in range((row % 2) * course, side, 2 * course):
                image[row * course : (row + 1) * course, x : x + 2] *= 0.75
    return Image.fromarray(image.astype(np.uint8))


@dataclass(frozen=True)
class _Pen:
    """Draws in units of the thing's radius around its centre."""

    to: ImageDraw.ImageDraw
    x: float
    y: float
    r: float
    colour: tuple[int, int, int]

    @property
    def dark(self) -> tuple[int, int, int]:
        return tuple(int(v * 0.6) for v in self.colour)  # type: ignore[return-value]

    @property
    def line(self) -> int:
        return max(3, round(self.r * 0.09))

    def at(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(self.x + self.r * px, self.y + self.r * py) for px, py in points]

    def span(self, left: float, top: float, right: float, bottom: float) -> list:
        return self.at((left, top), (right, bottom))

    def oval(self, *span: float, fill: tuple, edge: bool = False) -> None:
        self.to.ellipse(self.span(*span), fill=fill, **self._edge(edge))

    def rect(self, *span: float, fill: tuple, edge: bool = False) -> None:
        self.to.rectangle(self.span(*span), fill=fill, **self._edge(edge))

    def shape(self, *points: tuple[float, float], fill: tuple, edge: bool = False) -> None:
        self.to.polygon(self.at(*points), fill=fill, **self._edge(edge))

    def _edge(self, edge: bool) -> dict:
        return {"outline": self.dark, "width": self.line} if edge else {}


def _ball(p: _Pen) -> None:
    p.oval(-1, -1, 1, 1, fill=p.colour, edge=True)
    p.oval(-0.5, -0.6, -0.1, -0.2, fill=tuple(min(255, v + 60) for v in p.colour))


def _crate(p: _Pen) -> None:
    p.rect(-0.9, -0.9, 0.9, 0.9, fill=p.colour, edge=True)
    for slope in (1, -1):
        p.to.line(p.at((-0.9, -0.9 * slope), (0.9, 0.9 * slope)), fill=p.dark, width=p.line)


def _tree(p: _Pen) -> None:
    p.rect(-0.16, 0, 0.16, 1, fill=(110, 70, 40))
    p.oval(-0.8, -1, 0.8, 0.4, fill=p.colour, edge=True)


def _house(p: _Pen) -> None:
    p.rect(-0.8, -0.1, 0.8, 1, fill=p.colour, edge=True)
    p.shape((-1, -0.1), (0, -1), (1, -0.1), fill=p.dark)
    p.rect(-0.2, 0.35, 0.2, 1, fill=(60, 40, 30))


def _star(p: _Pen) -> None:
    tips = [
        (q * math.cos(a), q * math.sin(a))
        for i in range(10)
        for q, a in [(1.0 if i % 2 == 0 else 0.42, -math.pi / 2 + i * math.pi / 5)]
    ]
    p.shape(*tips, fill=p.colour, edge=True)


def _fish(p: _Pen) -> None:
    p.shape((0.35, 0), (1, -0.6), (1, 0.6), fill=p.colour, edge=True)
    p.oval(-1, -0.55, 0.5, 0.55, fill=p.colour, edge=True)
    p.oval(-0.72, -0.26, -0.48, -0.02, fill=(0, 0, 0))


def _boat(p: _Pen) -> None:
    p.shape((-1, 0.3), (1, 0.3), (0.6, 1), (-0.6, 1), fill=p.dark)
    p.shape((-0.05, 0.2), (-0.05, -1), (0.8, 0.2), fill=p.colour)
    p.shape((-0.15, 0.2), (-0.15, -0.7), (-0.7, 0.2), fill=p.colour)


def _cup(p: _Pen) -> None:
    p.to.arc(p.span(0.1, -0.4, 1, 0.5), -90, 90, fill=p.dark, width=2 * p.line)
    p.rect(-0.7, -0.7, 0.4, 0.8, fill=p.colour, edge=True)
    p.oval(-0.7, -0.9, 0.4, -0.5, fill=p.dark)


def _flower(p: _Pen) -> None:
    p.rect(-0.06, 0, 0.06, 1, fill=(40, 120, 40))
    for i in range(6):
        x, y = 0.4 * math.cos(i * math.pi / 3), 0.4 * math.sin(i * math.pi / 3) - 0.28
        p.oval(x - 0.32, y - 0.32, x + 0.32, y + 0.32, fill=p.colour, edge=True)
    p.oval(-0.22, -0.5, 0.22, -0.06, fill=(250, 220, 60))


def _mushroom(p: _Pen) -> None:
    p.rect(-0.3, -0.1, 0.3, 0.8, fill=(240, 230, 210))
    p.to.pieslice(p.span(-1, -1, 1, 0.8), 180, 360, fill=p.colour, **p._edge(True))
    p.oval(-0.5, -0.6, -0.2, -0.3, fill=(255, 255, 255))
    p.oval(0.1, -0.75, 0.4, -0.45, fill=(255, 255, 255))


_DRAWINGS: dict[str, Callable[[_Pen], None]] = {
    "ball": _ball,
    "crate": _crate,
    "tree": _tree,
    "house": _house,
    "star": _star,
    "fish": _fish,
    "boat": _boat,
    "cup": _cup,
    "flower": _flower,
    "mushroom": _mushroom,
}
