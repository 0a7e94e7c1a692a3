"""Attention (rows, cols) -> anchor points -> boxes (points, sizes, 4). Paper, region proposals.

Cells are (row, col), pixels are (x, y), boxes are half-open (left, top, right, bottom) pixels of a
square image of `side` pixels. Every box is clamped to the image and then snapped outward to the
latent grid of `cell` pixels, so that the mask the inpainter sees is the box that is pasted back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lr_edit.types import Box


def anchor_points(
    attention: Float[Tensor, "rows cols"],
    *,
    points: int,
    distance: float = 0.0,
    margin: float = 0.0,
) -> Int[Tensor, "points 2"]:
    """The (row, col) of the cells with the highest attention, highest first, ties by index.

    Paper, anchors: the K patches that the last layer's [CLS] token attends to most.
    `distance` is the least Euclidean distance between two anchors, in cells, met greedily.
    `margin` is the release's border rule: no anchor closer than this many cells to the border.
    Where either leaves fewer cells than `points`, the highest cells of all fill up, as in the
    release: at its margin of 15 on 32x32 only the four cells of the image's centre are legal.

    Departure: the release transposes rows and columns; here they stay as they are. Its border rule
    is off by default.
    """
    rows, cols = attention.shape
    order = attention.flatten().sort(descending=True, stable=True).indices
    cells = torch.stack([order // cols, order % cols], dim=-1)
    last = torch.tensor([rows - 1, cols - 1], device=cells.device)
    legal = ((cells >= margin) & (cells <= last - margin)).all(-1)
    chosen: list[Tensor] = []
    for cell in cells[legal]:
        if len(chosen) == points:
            break
        if all(torch.dist(cell.double(), other.double()) >= distance for other in chosen):
            chosen.append(cell)
    missing = points - len(chosen)
    return torch.stack([*chosen, *cells.repeat(points, 1)[:missing]])


def all_cells(grid: Sequence[int]) -> Int[Tensor, "cells 2"]:
    """The (row, col) of every cell of a (rows, cols) grid, row by row."""
    rows, cols = grid
    return torch.cartesian_prod(torch.arange(rows), torch.arange(cols))


def grid_points(grid: Sequence[int], *, points: int) -> Int[Tensor, "points 2"]:
    """The (row, col) of cells spread evenly, row by row: 9 points are three rows of three.

    Other numbers take the first of the next square number.
    """
    rows, cols = grid
    each = math.ceil(points**0.5)
    cells = all_cells((each, each))[:points].double()
    return ((cells + 0.5) * torch.tensor([rows, cols]) / each).floor().long()


def threshold_box(
    scores: Float[Tensor, "rows cols"], *, side: int, cell: int
) -> Int[Tensor, "1 1 4"]:
    """The box about all cells of at least half the highest value, which is clipped at three times
    the mean (DiffEdit, Couairon et al., ICLR 2023, section 3.2, as diffusers clips it).

    Values below zero count as zero; where nothing is above it, the box is the whole image.

    Departure: DiffEdit edits the mask itself; the box about it is what a box inpainter takes.
    """
    kept = scores.clamp(min=0)
    rows, cols = (kept >= kept.max().clamp(max=3 * kept.mean()) / 2).nonzero().unbind(-1)
    ends = torch.stack([cols.amin(), rows.amin(), cols.amax() + 1, rows.amax() + 1]).double()
    per_cell = side / torch.tensor(scores.shape[::-1], dtype=torch.float64)  # (x, y)
    return snap_boxes(ends[:2] * per_cell, ends[2:] * per_cell, side=side, cell=cell).view(1, 1, 4)


def cells_to_pixels(
    cells: Int[Tensor, "*n 2"], *, grid: Sequence[int], side: int
) -> Float[Tensor, "*n 2"]:
    """(row, col) of cells of a (rows, cols) grid -> (x, y) of their centres in pixels."""
    rows, cols = grid
    row, col = cells.double().unbind(-1)
    return torch.stack([(col + 0.5) * side / cols, (row + 0.5) * side / rows], dim=-1)


def pixels_to_cells(
    pixels: Shaped[Tensor, "*n 2"], *, grid: Sequence[int], side: int
) -> Int[Tensor, "*n 2"]:
    """(x, y) in pixels -> (row, col) of the cells of a (rows, cols) grid that hold them."""
    rows, cols = grid
    x, y = pixels.double().unbind(-1)
    return torch.stack([y * rows / side, x * cols / side], dim=-1).floor().long()


def square_boxes(
    anchors: Int[Tensor, "points 2"],
    *,
    grid: Sequence[int],
    side: int,
    sizes: Sequence[float],
    cell: int,
) -> Int[Tensor, "points sizes 4"]:
    """One square a size around every anchor's centre. Paper, region proposals.

    `sizes` are shares of the image's side. The border may cut a square to a rectangle.
    """
    centres = cells_to_pixels(anchors, grid=grid, side=side)
    extents = torch.tensor(sizes, dtype=torch.float64, device=anchors.device) * side
    extents = extents[:, None].expand(len(anchors), -1, 2)  # (points, sizes, 2)
    return _boxes_around(centres, extents, side=side, cell=cell)


def random_boxes(
    anchors: Int[Tensor, "points 2"],
    *,
    grid: Sequence[int],
    side: int,
    draws: int,
    cell: int,
    generator: torch.Generator,
) -> Int[Tensor, "points draws 4"]:
    """The paper's random size (Table 2): height and width each uniform on [0, side], clamped.

    Snapping makes every box at least one cell wide and high.
    """
    centres = cells_to_pixels(anchors, grid=grid, side=side)
    shape = (len(anchors), draws, 2)
    extents = torch.rand(shape, dtype=torch.float64, generator=generator) * side
    return _boxes_around(centres, extents.to(anchors.device), side=side, cell=cell)


def snap_box(box: Box, *, cell: int, side: int) -> Box:
    """The smallest box on the grid of `cell` pixels, inside the image, that holds `box`."""
    start, stop = torch.tensor(box.as_tuple(), dtype=torch.float64).view(2, 2)
    return Box(*snap_boxes(start, stop, side=side, cell=cell).tolist())


def _boxes_around(
    centres: Float[Tensor, "points 2"],
    extents: Float[Tensor, "points sizes 2"],
    *,
    side: int,
    cell: int,
) -> Int[Tensor, "points sizes 4"]:
    """Boxes of (width, height) pixels around (x, y), clamped and snapped."""
    start = centres[:, None] - extents / 2
    return snap_boxes(start, start + extents, side=side, cell=cell)


def snap_boxes(
    start: Float[Tensor, "*n 2"], stop: Float[Tensor, "*n 2"], *, side: int, cell: int
) -> Int[Tensor, "*n 4"]:
    """Left-top and right-bottom corners in pixels -> boxes in the image, snapped outward to the
    grid; each is at least one cell wide and high."""
    if side % cell:
        raise ValueError(f"a side of {side} pixels is no multiple of the grid's {cell}")
    # Rounding first: 23.999999999 is the line at 24, not a reason to take one more cell.
    low = (start.clamp(0, side) / cell).round(decimals=6).floor()
    high = (stop.clamp(0, side) / cell).round(decimals=6).ceil()
    low = low.clamp(max=side // cell - 1)
    high = torch.maximum(high, low + 1)
    return (torch.cat([low, high], dim=-1) * cell).long()
