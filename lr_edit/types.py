"""The values that flow through the package, and its two conventions.

Images are float RGB (N, 3, H, W) in [0, 1]. Boxes are half-open (left, top, right, bottom) in
image pixels, so that `image[:, :, top:bottom, left:right]` is what a box holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

T = TypeVar("T")

Merit = Literal["S", "loss"]  # what the best candidate is best by
S_WEIGHTS = np.array([2.0, 1.0])  # of S_t2i and S_i2i in S. Paper, section 3.4


@runtime_checkable
class Track(Protocol):
    """Passes items on and shows how far it is: the command line's progress bar."""

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None
    ) -> Iterator[T]: ...


@dataclass(frozen=True)
class Box:
    """A half-open pixel box, `left <= x < right`, `top <= y < bottom`; ValueError if empty."""

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right and 0 <= self.top < self.bottom):
            raise ValueError(f"a box needs 0 <= left < right and 0 <= top < bottom, got {self}")

    @property
    def area(self) -> int:
        """Pixels inside."""
        return (self.right - self.left) * (self.bottom - self.top)

    def as_tuple(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom)."""
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True)
class Label:
    """What a judge can tell about a thing: its kind and its colour."""

    kind: str
    colour: str


@dataclass(frozen=True)
class Truth:
    """What a drawn scene knows and a photo does not.

    `box` is where the edit belongs (None for `add`: any empty place will do), `wanted` what should
    be there afterwards (None for `remove`), `bystanders` what must stay as it is, and where.
    """

    box: Box | None
    wanted: Label | None
    bystanders: tuple[tuple[Label, Box], ...] = ()


@dataclass(frozen=True)
class EditTask:
    """One edit: the words that name what is edited, and the prompt that describes the result.

    `image` is relative to the folder the tasks were read from. `caption` describes the source image
    where somebody wrote it down.
    """

    id: str
    image: Path
    source: str
    prompt: str
    category: str = "edit"
    split: str = "eval"
    caption: str | None = None
    truth: Truth | None = None


@dataclass(frozen=True)
class Sampler:
    """How one picture is painted: `steps` of DPM++ 2M, `guidance` on the first `guided` share.

    Guidance is the difference that the prompt makes. It is measured at every `refresh`th guided
    step, by a second evaluation, and stands for the steps between (Lv et al., FasterCache, 2024;
    Dinh et al., Compress Guidance, 2024).
    `stop` decodes the early estimate of the picture (x0) after so many steps. `strength` below 1
    starts from the noised source and leaves out the first steps (SDEdit, Meng et al., ICLR 2022).
    `tiny_vae` encodes and decodes with the profile's small autoencoder, where it names one.
    `solver="pndm"` is the release's: it evaluates the second of its times twice.
    """

    steps: int
    guidance: float
    guided: float
    refresh: int = 1
    stop: int | None = None
    strength: float = 1.0
    tiny_vae: bool = False
    solver: Literal["dpm", "pndm"] = "dpm"

    @property
    def length(self) -> int:
        """Calls of the trajectory; cut short by `strength` as diffusers rounds it."""
        return min(int(self.steps * self.strength), self.steps) + (self.solver == "pndm")

    @property
    def guided_steps(self) -> int:
        """The first so many steps."""
        return round(self.guided * self.length) if self.guidance > 1 else 0

    @property
    def nfe(self) -> int:
        """UNet evaluations a picture."""
        taken = min(self.stop or self.length, self.length)
        return taken + -(-min(taken, self.guided_steps) // self.refresh)

    def measures_guidance(self, step: int) -> bool:
        """Whether a step, from 0, costs two evaluations."""
        return step < self.guided_steps and step % self.refresh == 0


@dataclass(frozen=True)
class LossWeights:
    """Weights of the three losses; the paper's: 1, 1, 1. ValueError for one that is no number."""

    clip: float = 1.0
    directional: float = 1.0
    structure: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.as_array()) & (self.as_array() >= 0)).all():
            raise ValueError(f"a weight is a number from 0, got {self}")

    def as_array(self) -> np.ndarray:
        """(3,) in the order of `Bank.losses`."""
        return np.array([self.clip, self.directional, self.structure])


@dataclass(frozen=True)
class Bank:
    """All candidates of one task and one proposal set, scored: what learning and choosing see.

    boxes        (points, sizes, 4) int: left, top, right, bottom
    losses       (points, sizes, 3) float: clip, directional, structure, unweighted
    cosines      (points, sizes, 2) float: prompt/edit and source/edit, by the scoring CLIP
    anchors      (points, 2) int: row and column of the anchor's cell; -1 where a box has none
    attention    (rows, cols) float: where DINO attends
    features     (channels, rows, cols) float: what AnchorNet sees
    relevance    (rows, cols) float: how much of the source words stands at each cell; or NaN
    evaluations  UNet sample-evaluations that were spent on these candidates
    """

    boxes: np.ndarray
    losses: np.ndarray
    cosines: np.ndarray
    anchors: np.ndarray
    attention: np.ndarray
    features: np.ndarray
    relevance: np.ndarray
    nfe: int

    def part(self, *, points: int | None = None, sizes: Sequence[int] | None = None) -> Bank:
        """The first so many anchors and these sizes alone, with their share of the cost."""
        rows, columns = slice(points), list(range(self.boxes.shape[1]) if sizes is None else sizes)
        boxes = self.boxes[rows][:, columns]
        return replace(
            self,
            boxes=boxes,
            losses=self.losses[rows][:, columns],
            cosines=self.cosines[rows][:, columns],
            anchors=self.anchors[rows],
            nfe=round(self.nfe * boxes.size / self.boxes.size),
        )

    def loss(self, weights: LossWeights) -> np.ndarray:
        """L = alpha L_clip + beta L_dir + gamma L_str, (points, sizes). Paper, Eq. 6."""
        return self.losses @ weights.as_array()

    @property
    def score(self) -> np.ndarray:
        """S = 2 S_t2i + 1 S_i2i, (points, sizes). Paper, section 3.4."""
        return self.cosines @ S_WEIGHTS

    def merit(self, rank: Merit = "S", weights: LossWeights = LossWeights()) -> np.ndarray:
        """How good, higher better, (points, sizes): S, or the loss below zero."""
        return -self.loss(weights) if rank == "loss" else self.score


@dataclass(frozen=True)
class Choice:
    """One candidate of a bank: which anchor point, which size."""

    point: int
    size: int
