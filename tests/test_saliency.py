"""Text relevance: the place whose loss costs the picture its words stands out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from lr_edit.saliency import text_relevance
from tests.fakes import FakeClip

SIDE = 32


class RedClip(FakeClip):
    """Sees how red a picture is; the words "red" ask for it, all others for its contrary."""

    def embed_images(self, images: Tensor) -> Tensor:
        red = images[:, 0].mean((1, 2))
        return torch.stack([red, (1 - red**2).sqrt()], dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[1.0, 0.0] if text == "red" else [-1.0, 0.0] for text in texts])


def spot(row: int, col: int, cell: int) -> Tensor:
    """Red in one cell of a black picture."""
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[0, 0, row * cell : (row + 1) * cell, col * cell : (col + 1) * cell] = 1
    return image


def test_the_place_of_the_words_is_the_highest_and_rows_are_not_columns() -> None:
    found = text_relevance(RedClip(), spot(2, 5, 4), text="red", grid=(8, 8))
    assert found.shape == (8, 8)
    assert divmod(int(found.argmax()), 8) == (2, 5) and found[5, 2] < found[2, 5]
    assert torch.allclose(
        text_relevance(RedClip(), spot(2, 5, 4), text="blue", grid=(8, 8)), -found
    )


def test_relevance_is_what_hiding_a_quarter_window_costs() -> None:
    clip = FakeClip()
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    found = text_relevance(clip, image, text="a boat", grid=(8, 8)).numpy()
    pixels, words = image[0].numpy(), clip.embed_texts(["a boat"])[0].numpy()
    before = clip.embed_images(image)[0].numpy() @ words
    for row, col in ((0, 0), (3, 6), (7, 2)):
        hidden = pixels.copy()
        top, left = row * 4 + 2 - 4, col * 4 + 2 - 4  # eight pixels about the cell's centre
        window = np.s_[:, max(top, 0) : top + 8, max(left, 0) : left + 8]
        hidden[window] = pixels.mean((1, 2))[:, None, None]
        after = clip.embed_images(torch.from_numpy(hidden)[None])[0].numpy() @ words
        assert found[row, col] == pytest.approx(before - after, abs=1e-6)


@pytest.mark.parametrize("grid", [(4, 4), (32, 32), (6, 10)])
def test_any_grid_of_features_is_served(grid: tuple[int, int]) -> None:
    found = text_relevance(RedClip(), spot(6, 1, 4), text="red", grid=grid)
    row, col = divmod(int(found.argmax()), grid[1])
    assert found.shape == grid
    assert row >= grid[0] // 2 and col < grid[1] // 2
