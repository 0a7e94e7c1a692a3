"""The released procedure, against its rules written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lr_edit.baselines.released import released_attention, released_boxes
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import place_anchors

HOW = ProposalSet.model_validate(
    {"anchors": "released", "boxes": "released", "propose": {}, "inpaint": {}}
)


def at(box: list[int], row: int, col: int) -> bool:
    """Whether a box is one of the release's about a cell: x from the row, y from the column."""
    for half in (4, 6, 8, 10, 12, 14):
        ends = [row - half, col - half, row + half, col + half]
        pixels = [math.ceil(min(max(end, 0), 31) * 255 / 31) / 256 * 64 for end in ends]
        low, high = (np.floor(np.array(pixels[:2]) / 4), np.ceil(np.array(pixels[2:]) / 4))
        if box == [*(4 * low).astype(int), *(4 * high).astype(int)]:
            return True
    return False


def test_four_anchors_are_the_centre_and_the_highest_cells_fill_up() -> None:
    attention = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    anchors = place_anchors(attention, proposals=HOW, seed=0)
    centre = {(row, col) for row in (15, 16) for col in (15, 16)}
    assert {tuple(cell) for cell in anchors[:4].tolist()} == centre
    highest = attention.flatten().topk(5).indices
    assert anchors[4:].tolist() == [[int(i) // 32, int(i) % 32] for i in highest]


@given(st.integers(0, 31), st.integers(0, 31), st.integers(0, 99))
def test_boxes_are_transposed_squares_of_random_size(row: int, col: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    (box,) = released_boxes(torch.tensor([[row, col]]), side=64, cell=4, generator=generator)
    assert at(box[0].tolist(), row, col)


def test_every_size_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    anchors = torch.full((200, 2), 15)
    boxes = released_boxes(anchors, side=256, cell=1, generator=generator)
    assert len({tuple(box) for box in boxes[:, 0].tolist()}) == 6


def test_attention_is_read_on_32_cells_each_way() -> None:
    coarse = torch.zeros(8, 8)
    coarse[2, 6] = 1.0
    fine = released_attention(coarse)
    row, col = divmod(int(fine.argmax()), 32)
    assert fine.shape == (32, 32) and row // 4 == 2 and col // 4 == 6
