"""The losses against values worked out by hand, and their guards."""

from __future__ import annotations

import pytest
import torch

from lr_edit.losses import clip_loss, cosines, directional_loss, losses, structure_loss

RIGHT, UP = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_clip_loss_runs_from_zero_to_two() -> None:
    edited = torch.cat([RIGHT, UP, -RIGHT])
    torch.testing.assert_close(clip_loss(edited, 3 * RIGHT), torch.tensor([0.0, 1.0, 2.0]))


def test_directional_loss_compares_changes_not_places() -> None:
    edited = torch.cat([RIGHT + UP, RIGHT - UP, 2 * RIGHT])
    loss = directional_loss(edited, RIGHT, prompt=RIGHT + 5 * UP, source_text=RIGHT)
    torch.testing.assert_close(loss, torch.tensor([0.0, 2.0, 1.0]))


@pytest.mark.parametrize("shift", [0.0, 1e-6])
def test_an_edit_that_changes_nothing_has_directional_loss_one(shift: float) -> None:
    source = draw(1, 16)
    edited = source + shift * draw(3, 16, seed=1)
    loss = directional_loss(edited, source, prompt=draw(1, 16, seed=2), source_text=-source)
    assert loss.tolist() == [1.0, 1.0, 1.0]


def test_a_prompt_equal_to_the_source_words_has_directional_loss_one() -> None:
    words = draw(1, 16, seed=2)
    loss = directional_loss(draw(2, 16), draw(1, 16, seed=1), prompt=words, source_text=words)
    assert loss.tolist() == [1.0, 1.0]


def test_structure_loss_is_the_root_mean_square_of_two_cosine_matrices() -> None:
    edited, source = draw(2, 5, 7), draw(1, 5, 7, seed=1)
    similar = torch.nn.functional.cosine_similarity
    own = similar(edited[:, :, None], edited[:, None], dim=-1)
    other = similar(source[:, :, None], source[:, None], dim=-1)
    expected = (own - other).square().mean((1, 2)).sqrt()
    torch.testing.assert_close(structure_loss(edited, source), expected)
    assert structure_loss(source, source).item() == 0


def test_structure_loss_does_not_depend_on_the_number_of_tokens() -> None:
    edited, source = draw(1, 5, 7), draw(1, 5, 7, seed=1)
    twice = structure_loss(edited.repeat(1, 2, 1), source.repeat(1, 2, 1))
    torch.testing.assert_close(twice, structure_loss(edited, source))


def test_losses_stand_in_the_order_of_the_bank() -> None:
    edited, tokens = draw(4, 8), draw(4, 3, 6)
    known = {
        "source_image": draw(1, 8, seed=1),
        "prompt": draw(1, 8, seed=2),
        "source_text": draw(1, 8, seed=3),
    }
    source_tokens = draw(1, 3, 6, seed=4)
    table = losses(edited, tokens, source_tokens=source_tokens, **known)
    torch.testing.assert_close(table[:, 0], clip_loss(edited, known["prompt"]))
    directional = directional_loss(
        edited, known["source_image"], prompt=known["prompt"], source_text=known["source_text"]
    )
    torch.testing.assert_close(table[:, 1], directional)
    torch.testing.assert_close(table[:, 2], structure_loss(tokens, source_tokens))


def test_cosines_are_prompt_first_and_raw() -> None:
    table = cosines(torch.cat([RIGHT, UP]), UP, prompt=RIGHT)
    assert table.tolist() == [[1.0, 0.0], [0.0, 1.0]]
