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

from lr_edit.errors import UserError

T = TypeVar("T")

# What the best candidate is best by: the paper's S; a low L (its Eq. 6); how much of the source
# words CLIP loses without the box (lr_edit.grounding), alone or less L.
Merit = Literal["S", "loss", "ground", "ground-loss"]
Split = Literal["train", "val", "dev", "test"]  # parts of the data; studies read one each
S_WEIGHTS = np.array([2.0, 1.0])  # of S_t2i and S_i2i in S. Paper, section 3.4


@runtime_checkable
class Track(Protocol):
    """Passes items on and shows how far it is: the command line's progress bar."""

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None
    ) -> Iterator[T]: ...


@dataclass(frozen=True)
class Box:
    """A half-open box in image pixels: `left <= x < right`, `top <= y < bottom`.

    Args:
        left: First column inside, from 0.
        top: First row inside, from 0.
        right: First column to the right of it, more than `left`.
        bottom: First row below it, more than `top`.

    Raises:
        ValueError: The box is empty or begins outside of the image.

    Example:
        >>> box = Box(left=16, top=8, right=40, bottom=24)
        >>> box.area, box.as_tuple()
        (384, (16, 8, 40, 24))
    """

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

    Args:
        id: Unique in its study; the seed of the task's noise follows from it.
        image: The source image, relative to the folder that the tasks were read from.
        source: What is edited, T_ROI in the paper: "a red boat".
        prompt: The result, T in the paper: "a blue fish on sand".
        category: The kind of edit, for tables per category.
        split: The part of the data that the task belongs to.
        caption: A description of the source image, where somebody wrote it down.
        truth: Where the edit belongs, known of drawn scenes alone.

    Example:
        >>> EditTask("boat", Path("boat.png"), "a red boat", "a blue fish on sand").split
        'dev'
    """

    id: str
    image: Path
    source: str
    prompt: str
    category: str = "edit"
    split: str = "dev"
    caption: str | None = None
    truth: Truth | None = None


@dataclass(frozen=True)
class Sampler:
    """How one candidate is sampled, and what it costs in NFE (UNet evaluations per image).

    Args:
        steps: Steps of the solver, at least 1.
        guidance: Scale of classifier-free guidance; 1 is none.
        guided: Share of the steps, the first ones, with guidance, in [0, 1].
        refresh: Guidance is measured at every `refresh`th guided step, by a second evaluation, and
            stands for the steps between (Lv et al., FasterCache, 2024; Dinh et al., Compress
            Guidance, 2024).
        stop: Decode the estimate of x0 after so many steps; None takes them all.
        strength: Below 1, start from the noised source and leave out the first steps, in (0, 1]
            (SDEdit, Meng et al., ICLR 2022).
        tiny_vae: Encode and decode with the profile's small autoencoder, where it names one.
        solver: "dpm" is DPM++ 2M; "pndm" is the release's and evaluates the second of its times
            twice.

    Example:
        >>> Sampler(steps=20, guidance=7.5, guided=0.6).nfe
        32
        >>> Sampler(steps=20, guidance=7.5, guided=0.6, refresh=3).nfe
        24
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
        """Steps of the trajectory; cut short by `strength` as diffusers rounds it."""
        return min(int(self.steps * self.strength), self.steps) + (self.solver == "pndm")

    @property
    def guided_steps(self) -> int:
        """Steps with guidance: the first so many."""
        return round(self.guided * self.length) if self.guidance > 1 else 0

    @property
    def nfe(self) -> int:
        """NFE: UNet evaluations per image, those that guidance adds included."""
        taken = min(self.stop or self.length, self.length)
        return taken + -(-min(taken, self.guided_steps) // self.refresh)

    def measures_guidance(self, step: int) -> bool:
        """Whether a step, from 0, takes two evaluations."""
        return step < self.guided_steps and step % self.refresh == 0


@dataclass(frozen=True)
class LossWeights:
    """alpha, beta, gamma: weights of the three losses. Paper, Eq. 6: 1, 1, 1.

    Raises:
        ValueError: A weight is negative, infinite or NaN.

    Example:
        >>> LossWeights(structure=0.0).as_array()
        array([1., 1., 0.])
    """

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
    """All candidates of one task and one proposal set, scored: what learning and choosing read.

    boxes      (points, sizes, 4) int: left, top, right, bottom in pixels
    losses     (points, sizes, 3) float: clip, directional, structure, unweighted; lower is better
    cosines    (points, sizes, 2) float in [-1, 1]: S_t2i and S_i2i, by the scoring CLIP
    anchors    (points, 2) int: row and column of the anchor's cell; -1 where a box has none
    attention  (rows, cols) float: DINO's class attention
    features   (channels, rows, cols) float: DINO's patch features, AnchorNet's input; no channel
               where the set keeps none
    relevance  (rows, cols) float: text relevance of each cell; NaN where it was not computed
    nfe        UNet evaluations of all these candidates together
    ground     (points, sizes) float: how much of the source words is lost without the box; None
               where boxes were not found by the words
    views      images that CLIP embedded before anything was inpainted
    """

    boxes: np.ndarray
    losses: np.ndarray
    cosines: np.ndarray
    anchors: np.ndarray
    attention: np.ndarray
    features: np.ndarray
    relevance: np.ndarray
    nfe: int
    ground: np.ndarray | None = None
    views: int = 0

    def part(self, *, points: int | None = None, sizes: Sequence[int] | None = None) -> Bank:
        """The bank of fewer anchors or sizes.

        Args:
            points: Keep the first so many anchors; None keeps all.
            sizes: Indices of the sizes to keep, in this order; None keeps all.

        Returns:
            A Bank with the same maps and its share of the NFE.
        """
        rows, columns = slice(points), list(range(self.boxes.shape[1]) if sizes is None else sizes)
        boxes = self.boxes[rows][:, columns]
        return replace(
            self,
            boxes=boxes,
            losses=self.losses[rows][:, columns],
            cosines=self.cosines[rows][:, columns],
            anchors=self.anchors[rows],
            ground=None if self.ground is None else self.ground[rows][:, columns],
            nfe=round(self.nfe * boxes.size / self.boxes.size),
        )

    def loss(self, weights: LossWeights) -> np.ndarray:
        """L = alpha L_Clip + beta L_Dir + gamma L_Str, (points, sizes), lower is better.

        Source: paper, Eq. 6.
        """
        return self.losses @ weights.as_array()

    @property
    def score(self) -> np.ndarray:
        """S = 2 S_t2i + 1 S_i2i, (points, sizes), in [-3, 3], higher is better.

        Source: paper, section 3.4.
        """
        return self.cosines @ S_WEIGHTS

    def merit(self, rank: Merit = "S", weights: LossWeights = LossWeights()) -> np.ndarray:
        """How good, (points, sizes), higher is better; `Merit` says by what.

        Raises:
            UserError: `ground` is asked for of boxes that were not found by the words.
        """
        if rank == "S":
            return self.score
        if rank == "loss":
            return -self.loss(weights)
        if self.ground is None:
            raise UserError(f"rank {rank!r} is for `boxes: grounded`: take S or loss")
        return self.ground - self.loss(weights) if rank == "ground-loss" else self.ground


@dataclass(frozen=True)
class Choice:
    """One candidate of a bank: which anchor point, which size."""

    point: int
    size: int
