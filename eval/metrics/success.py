"""Did the edit do what was asked: pictures before and after, and the truth -> yes or no.

placed   replace, recolour, add: the wanted kind and colour are seen at the true box or anywhere in
         the inpainted box
gone     replace, recolour, remove: nothing of the old thing is left outside what was inpainted, and
         it is not seen at its place; where something was to be removed, nothing is
kept     every bystander is what it was, and most of the ground is as it was

replace and recolour succeed by all three, remove by `gone` and `kept`, add by `placed` and `kept`.
The stricter *in place* asks for the wanted thing in a crop at the true box and looks at no remains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from lr_edit.types import Box, Label, Truth

NOTHING = "none"
Sighting = tuple[str, str]

# How sure the judge must be of a wanted thing.
SEEN = 0.6
# Sides of the squares in which it is looked for, and their greatest distance, of the picture's.
SQUARES, STRIDE = (0.25, 0.375, 0.5625), 0.11
# Greatest difference of a channel that is none: 99% of the ground's pixels after the autoencoder's
# own round trip differ by less, on val.
STILL = 0.025
# The rest was chosen on two draws of labelled edits; a third tells how well a person agrees.
GROUND = 0.5  # share of the ground that may change: a new thing needs not stand where the old did
CONTRAST = 0.15  # a thing's pixels differ so much from the colour about its box
CHANGED = 0.1  # difference of a channel that shows in a thing,
BYSTANDER = 0.095  # and the share of a bystander's pixels that may have it
REMAINS = 0.008  # share of the old thing that may be left
SHADES = (1.0, 0.6)  # a thing is drawn in its colour and a darker one
ALIKE = 0.9  # cosine of two differences from the ground that are of one colour


@runtime_checkable
class LabelJudge(Protocol):
    """A frozen classifier of what stands in a box; the kind of empty ground is `none`."""

    def kinds_and_colours(self, images: Tensor, boxes: Sequence[Box], /) -> list[Sighting]:
        """One box per image -> (kind, colour) of each."""
        ...

    def confidence(self, images: Tensor, boxes: Sequence[Box], /, *, label: Label) -> Tensor:
        """One box per image -> the probability that this kind in this colour stands there, (n,)."""
        ...


@dataclass(frozen=True)
class Verdict:
    """1, 0 or NaN each: NaN where a category does not ask. The last three are what a crop at the
    true box alone says (at the inpainted box, where something was to be added)."""

    success: float
    placed: float
    gone: float
    kept: float
    in_place: float
    success_kind: float
    success_colour: float


UNKNOWN = Verdict(*[math.nan] * 7)


def is_judged(truth: Truth | None) -> bool:
    """Whether the truth says what success would be: a place, or a thing, or both."""
    return truth is not None and not (truth.box is None and truth.wanted is None)


def old_label(words: str) -> Label:
    """What the source words name: "a red boat" is a boat, red."""
    *_, colour, kind = ["", "", *words.split()]
    return Label(kind, colour)


def edit_success(
    source: Float[Tensor, "1 3 h w"],
    edited: Float[Tensor, "n 3 h w"],
    *,
    boxes: Sequence[Box],
    truth: Truth | None,
    words: str,
    judge: LabelJudge,
) -> list[Verdict]:
    """One verdict an edit of the same task.

    Args:
        source: The picture before, in [0, 1].
        edited: The pictures after.
        boxes: What was inpainted in each.
        truth: Where the old thing stood, what is wanted, what must stay; None: all is NaN.
        words: What the task calls the old thing.
        judge: Who tells kinds and colours; it takes no part in choosing.

    Returns:
        A `Verdict` an edit: 1, 0, or NaN where the category does not ask.

    Source: this project; thresholds were chosen on labelled edits, see the module.
    """
    if truth is None or not is_judged(truth):
        return [UNKNOWN] * len(edited)
    places = [truth.box or inpainted for inpainted in boxes]
    at_place = judge.kinds_and_colours(edited, places)
    standing = [judge.kinds_and_colours(edited, [box] * len(edited)) for _, box in truth.bystanders]
    same = [
        all(seen[at] == (label.kind, label.colour) for seen, (label, _) in
            zip(standing, truth.bystanders, strict=True))
        for at in range(len(edited))
    ]  # fmt: skip
    verdicts = []
    for at, (after, inpainted) in enumerate(zip(edited.split(1), boxes, strict=True)):
        change = (after - source).abs().amax(1)[0]
        placed = _is_placed(after, inpainted, truth=truth, judge=judge)
        gone = _is_gone(
            source, change, inpainted=inpainted, truth=truth, seen=at_place[at], words=words
        )
        kept = same[at] and _is_kept(source, change, truth=truth)
        verdicts.append(
            _verdict(truth, at_place[at], placed=placed, gone=gone, kept=kept, same=same[at])
        )
    return verdicts


def _verdict(
    truth: Truth, seen: Sighting, *, placed: float, gone: float, kept: bool, same: bool
) -> Verdict:
    success = float(kept and placed != 0 and gone != 0)
    if truth.wanted is None:
        nothing = float(seen[0] == NOTHING)
        return Verdict(success, placed, gone, float(kept), nothing * same, nothing, math.nan)
    kind, colour = seen[0] == truth.wanted.kind, seen[1] == truth.wanted.colour
    strict = float(kind and colour and same)
    return Verdict(success, placed, gone, float(kept), strict, float(kind), float(colour))


def _is_placed(
    after: Float[Tensor, "1 3 h w"], inpainted: Box, *, truth: Truth, judge: LabelJudge
) -> float:
    """Where the wanted thing may be looked for: at the true box, in the inpainted box as a whole,
    and, if it is in neither, in squares of it."""
    if truth.wanted is None:
        return math.nan
    first = [inpainted] if truth.box is None else [truth.box, inpainted]
    for looks in (first, squares_in(inpainted, side=after.shape[-1])):
        found = judge.confidence(after.expand(len(looks), -1, -1, -1), looks, label=truth.wanted)
        if bool((found >= SEEN).any()):
            return 1.0
    return 0.0


def squares_in(box: Box, *, side: int) -> list[Box]:
    """Squares of `SQUARES` spread over a box no more than `STRIDE` apart; the box if all are larger
    than both of its sides.

    Example:
        >>> squares_in(Box(0, 0, 16, 16), side=64)
        [Box(left=0, top=0, right=16, bottom=16)]
    """
    wide, high = box.right - box.left, box.bottom - box.top
    squares = []
    for share in SQUARES:
        extent = round(share * side)
        if extent > max(wide, high):
            continue
        starts = [
            _spread(low, high, extent=extent, side=side)
            for low, high in ((box.top, box.bottom), (box.left, box.right))
        ]
        squares += [Box(x, y, x + extent, y + extent) for y, x in itertools.product(*starts)]
    return squares or [box]


def _spread(low: int, high: int, *, extent: int, side: int) -> list[int]:
    """Starts of stretches of `extent` over low..high, or about its middle where that is shorter."""
    last = high - extent
    if last <= low:
        return [min(max(0, (low + last) // 2), side - extent)]
    count = math.ceil((last - low) / (STRIDE * side)) + 1
    return [round(low + at * (last - low) / (count - 1)) for at in range(count)]


def _is_gone(
    source: Float[Tensor, "1 3 h w"],
    change: Float[Tensor, "h w"],
    *,
    inpainted: Box,
    truth: Truth,
    seen: Sighting,
    words: str,
) -> float:
    if truth.box is None:
        return math.nan
    old = old_label(words)
    if seen == (old.kind, old.colour) or (truth.wanted is None and seen[0] != NOTHING):
        return 0.0
    recoloured = truth.wanted is not None and truth.wanted.kind == old.kind
    left = remains(source, change, inpainted=inpainted, box=truth.box, coloured=recoloured)
    return float(left <= REMAINS)


def remains(
    source: Float[Tensor, "1 3 h w"],
    change: Float[Tensor, "h w"],
    *,
    inpainted: Box,
    box: Box,
    coloured: bool = False,
) -> float:
    """Share of the old thing in `box` that still shows outside of what was inpainted.

    The outermost inpainted pixels count as well: the seam fades there. Of a recoloured thing only
    what has its colour counts: its trunk, stem or door may stay.
    """
    (high, wide), (thing, contrast) = change.shape, _thing(source, box)
    outside = torch.ones_like(thing)
    outside[
        inpainted.top + (inpainted.top > 0) : inpainted.bottom - (inpainted.bottom < high),
        inpainted.left + (inpainted.left > 0) : inpainted.right - (inpainted.right < wide),
    ] = False
    if coloured:
        outside &= _has_its_colour(source, box, thing=thing)
    left = (1 - change / contrast.amax(0).clamp(min=CONTRAST))[thing & outside]
    return float(left[left >= 0.6].sum() / max(1, int(thing.sum())))


def _thing(
    source: Float[Tensor, "1 3 h w"], box: Box
) -> tuple[Bool[Tensor, "h w"], Float[Tensor, "3 h w"]]:
    """The pixels in a box that differ from the colour about it, and by how much all pixels do."""
    shape = (source.shape[-2], source.shape[-1])
    ring = _mask(box, shape, grow=2) & ~_mask(box, shape)
    contrast = (source[0] - _about(source, ring)).abs()
    return _mask(box, shape) & (contrast.amax(0) > CONTRAST), contrast


def _about(source: Float[Tensor, "1 3 h w"], where: Bool[Tensor, "h w"]) -> Float[Tensor, "3 1 1"]:
    """The median colour of some pixels."""
    return source[0][:, where].median(dim=-1).values[:, None, None]


def _has_its_colour(
    source: Float[Tensor, "1 3 h w"], box: Box, *, thing: Bool[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Pixels that differ from the ground as the thing's colour does, or a darker shade of it."""
    if not thing.any():
        return thing
    ground = _about(source, _mask(box, (thing.shape[0], thing.shape[1]), grow=2) & ~thing)
    shades = [shade * _about(source, thing) - ground for shade in SHADES]
    difference = source[0] - ground
    alike = [F.cosine_similarity(difference, shade, dim=0) for shade in shades]
    return torch.stack(alike).amax(0) > ALIKE


def _is_kept(
    source: Float[Tensor, "1 3 h w"], change: Float[Tensor, "h w"], *, truth: Truth
) -> bool:
    """Bystanders as they were, and of the ground outside the true box, grown by a cell, most."""
    shape, cell = (change.shape[0], change.shape[1]), change.shape[-1] // 16
    ground = torch.ones_like(change, dtype=torch.bool)
    if truth.box is not None:
        ground &= ~_mask(truth.box, shape, grow=cell)
    for _, box in truth.bystanders:
        ground &= ~_mask(box, shape)
        thing, _ = _thing(source, box)
        if float((change[thing] > CHANGED).float().sum()) > BYSTANDER * int(thing.sum()):
            return False
    return float((change[ground] > STILL).float().sum()) <= GROUND * int(ground.sum())


def _mask(box: Box, shape: tuple[int, int], *, grow: int = 0) -> Bool[Tensor, "h w"]:
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[max(0, box.top - grow) : box.bottom + grow, max(0, box.left - grow) : box.right + grow] = (
        True
    )
    return mask
