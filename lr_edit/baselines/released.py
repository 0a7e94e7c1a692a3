"""The released procedure as its code really is (github.com/yuanze-lin/Learnable_Regions): fixed
anchors, random sizes, ranking by CLIP. Written anew; its training, which reaches nothing, is left
out.

What is kept, defect or not: attention on 32x32 cells; a border rule that leaves the four cells of
the image's centre, so that the highest cells of all fill up to nine; one of six half-sides at each
anchor, at random, as an untrained net with Gumbel noise has it; boxes whose x is the anchor's row
and whose y is its column; cells mapped to pixels by 255 / 31, rounded up. Its sampler, noise, words
and ranking are params: `inpaint.solver: pndm`, `noise: independent`, `template`, `rank: released`.

Departure: sizes are uniform, where the untrained net has a slight preference of its own; boxes snap
outward to the latent grid and are pasted back, where the release keeps the decoded picture; the
anchor model sees normalised pixels; guidance is the study's, where the release has 7.5, and on the
picture book, whose models do not know its words, the template is left out.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from lr_edit.boxes import snap_boxes

CELLS, PIXELS = 32, 256  # its grid of attention, its image
MARGIN = 15  # max_window_size
HALVES = torch.arange(4, MARGIN + 1, 2)  # cells


def released_attention(attention: Float[Tensor, "rows cols"]) -> Float[Tensor, "32 32"]:
    """The attention on the release's grid."""
    return F.interpolate(attention[None, None], (CELLS, CELLS), mode="bilinear")[0, 0]


def released_boxes(
    anchors: Int[Tensor, "points 2"], *, side: int, cell: int, generator: torch.Generator
) -> Int[Tensor, "points 1 4"]:
    """One box at every (row, col) of the 32x32 grid, rows and columns swapped."""
    half = HALVES[torch.randint(len(HALVES), (len(anchors), 1), generator=generator)]
    start, stop = ((anchors + d).clamp(0, CELLS - 1) for d in (-half, half))  # (row, col) as (x, y)
    pixels = [(end * (PIXELS - 1) / (CELLS - 1)).ceil() * side / PIXELS for end in (start, stop)]
    return snap_boxes(*(corner.double() for corner in pixels), side=side, cell=cell)[:, None]
