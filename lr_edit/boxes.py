"""Attention (rows, cols) -> anchor points -> boxes (points, sizes, 4). Paper, region proposals.

Cells are (row, col), pixels are (x, y), boxes are half-open (left, top, right, bottom) pixels of a
square image of `side` pixels. Every box is clamped to the image and then snapped outward to the
latent grid of `cell` pixels, so that the inpainter's mask is the box that is pasted back.
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

    Where `distance` or `margin` leave fewer cells than `points`, the highest cells of all fill up,
    as in the release: at its margin of 15 on 32x32 only the image's four central cells are legal.

    Departure: the release transposes rows and columns; here they stay as they are. Its border rule
    is off by default.

    Args:
        attention: Any map, higher is more salient.
        points: How many anchors, K in the paper.
        distance: Least Euclidean distance between two anchors, in cells, met greedily.
        margin: The release's border rule: no anchor closer than this many cells to the border.

    Returns:
        int64, (row, col) of each anchor's cell.

    Source: paper, section 3.1: the K patches that the last layer's [CLS] token attends to most.

    Example:
        >>> attention = torch.tensor([[0.1, 0.2, 0.9], [0.3, 0.8, 0.4]])
        >>> anchor_points(attention, points=2)
        tensor([[0, 2],
                [1, 1]])
        >>> anchor_points(attention, points=2, distance=2.0)
        tensor([[0, 2],
                [1, 0]])
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
    """The (row, col) of every cell of a (rows, cols) grid, row by row.

    Example:
        >>> all_cells((1, 2))
        tensor([[0, 0],
                [0, 1]])
    """
    rows, cols = grid
    return torch.cartesian_prod(torch.arange(rows), torch.arange(cols))


def grid_points(grid: Sequence[int], *, points: int) -> Int[Tensor, "points 2"]:
    """The (row, col) of cells spread evenly, row by row: 9 points are three rows of three.

    Other numbers take the first of the next square number.

    Example:
        >>> grid_points((8, 4), points=4)
        tensor([[2, 1],
                [2, 3],
                [6, 1],
                [6, 3]])
    """
    rows, cols = grid
    each = math.ceil(points**0.5)
    cells = all_cells((each, each))[:points].double()
    return ((cells + 0.5) * torch.tensor([rows, cols]) / each).floor().long()


def threshold_box(
    scores: Float[Tensor, "rows cols"], *, side: int, cell: int
) -> Int[Tensor, "1 1 4"]:
    """The box about all cells of at least half the highest value, clipped at thrice the mean.

    Values below zero count as zero; where nothing is above it, the box is the whole image.

    Departure: DiffEdit edits the mask itself; the box about it is what a box inpainter takes.

    Args:
        scores: A map, higher where the edit belongs.
        side: Pixels of the square image.
        cell: Pixels of the grid to which the box snaps.

    Returns:
        int64 pixels (left, top, right, bottom), as one anchor of one size.

    Source: DiffEdit (Couairon et al., ICLR 2023), section 3.2, clipped as diffusers does.

    Example:
        >>> scores = torch.eye(4)[1, :, None] * torch.eye(4)[2]  # one hot cell
        >>> threshold_box(scores, side=64, cell=8)
        tensor([[[32, 16, 48, 32]]])
    """
    kept = scores.clamp(min=0)
    rows, cols = (kept >= kept.max().clamp(max=3 * kept.mean()) / 2).nonzero().unbind(-1)
    ends = torch.stack([cols.amin(), rows.amin(), cols.amax() + 1, rows.amax() + 1]).double()
    per_cell = side / torch.tensor(scores.shape[::-1], dtype=torch.float64)  # (x, y)
    return snap_boxes(ends[:2] * per_cell, ends[2:] * per_cell, side=side, cell=cell).view(1, 1, 4)


def cells_to_pixels(
    cells: Int[Tensor, "*n 2"], *, grid: Sequence[int], side: int
) -> Float[Tensor, "*n 2"]:
    """(row, col) of cells -> (x, y) of their centres in pixels.

    Args:
        cells: (row, col), from 0.
        grid: (rows, cols) of the grid that covers the image.
        side: Pixels of the square image.

    Returns:
        float64 (x, y); the order is that of images, not of cells.

    Example:
        >>> cells_to_pixels(torch.tensor([[0, 3]]), grid=(4, 4), side=64)
        tensor([[56.,  8.]], dtype=torch.float64)
    """
    rows, cols = grid
    row, col = cells.double().unbind(-1)
    return torch.stack([(col + 0.5) * side / cols, (row + 0.5) * side / rows], dim=-1)


def pixels_to_cells(
    pixels: Shaped[Tensor, "*n 2"], *, grid: Sequence[int], side: int
) -> Int[Tensor, "*n 2"]:
    """(x, y) in pixels -> (row, col) of the cells that hold them: `cells_to_pixels` reversed.

    Example:
        >>> pixels_to_cells(torch.tensor([[56.0, 8.0]]), grid=(4, 4), side=64)
        tensor([[0, 3]])
    """
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
    """Squares of every size around every anchor's centre.

    Args:
        anchors: (row, col) of the anchors' cells.
        grid: (rows, cols) of the grid that the cells belong to.
        side: Pixels of the square image.
        sizes: Sides of the squares as shares of the image's side, in (0, 1].
        cell: Pixels of the latent grid to which boxes snap outward.

    Returns:
        int64 pixels (left, top, right, bottom); the border may cut a square to a rectangle.

    Raises:
        ValueError: `side` is no multiple of `cell`.

    Source: paper, section 3.1, region proposals.

    Example:
        >>> square_boxes(torch.tensor([[1, 2]]), grid=(4, 4), side=64, sizes=[0.25, 0.5], cell=4)
        tensor([[[32, 16, 48, 32],
                 [24,  8, 56, 40]]])
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
    """Rectangles of random size around every anchor: the paper's baseline.

    Args:
        anchors: (row, col) of the anchors' cells.
        grid: (rows, cols) of the grid that the cells belong to.
        side: Pixels of the square image.
        draws: Rectangles per anchor; height and width are each uniform on [0, side].
        cell: Pixels of the latent grid; every box is at least one cell wide and high.
        generator: The CPU generator that is drawn from.

    Returns:
        int64 pixels (left, top, right, bottom).

    Raises:
        ValueError: `side` is no multiple of `cell`.

    Source: paper, Table 2.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> boxes = random_boxes(
        ...     torch.tensor([[1, 2]]), grid=(4, 4), side=64, draws=3, cell=4, generator=draw
        ... )
        >>> boxes.shape, bool((boxes % 4 == 0).all())
        (torch.Size([1, 3, 4]), True)
    """
    centres = cells_to_pixels(anchors, grid=grid, side=side)
    shape = (len(anchors), draws, 2)
    extents = torch.rand(shape, dtype=torch.float64, generator=generator) * side
    return _boxes_around(centres, extents.to(anchors.device), side=side, cell=cell)


def snap_box(box: Box, *, cell: int, side: int) -> Box:
    """The smallest box on the grid of `cell` pixels, inside the image, that holds `box`.

    Raises:
        ValueError: `side` is no multiple of `cell`.

    Example:
        >>> snap_box(Box(5, 5, 12, 17), cell=8, side=64)
        Box(left=0, top=0, right=16, bottom=24)
    """
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


def grow_by_cells(
    boxes: Int[Tensor, "n 4"], growths: Sequence[int], *, side: int, cell: int
) -> Int[Tensor, "n growths 4"]:
    """Each box moved out on all sides by so many cells; by fewer than none it shrinks, in a
    direction in which a cell of it is left.

    Example:
        >>> grow_by_cells(torch.tensor([[8, 8, 16, 12]]), (0, 1, -1), side=64, cell=4)[0].tolist()
        [[8, 8, 16, 12], [4, 4, 20, 16], [8, 8, 16, 12]]
    """
    by = torch.tensor(growths)[:, None] * cell
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    out = torch.where(high - low + 2 * by >= cell, by, 0)  # (n, growths, 2)
    return torch.cat([(low - out).clamp(min=0), (high + out).clamp(max=side)], -1)
