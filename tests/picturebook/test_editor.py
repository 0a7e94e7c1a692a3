"""The small editor: its pairs, that it starts from the inpainter and learns, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from lr_edit.frozen.editors import load_editor
from lr_edit.picturebook import editor, inpainter, vae, words
from lr_edit.picturebook.trainer import Recipe, fit
from lr_edit.types import Sampler


@pytest.fixture(scope="module")
def autoencoder() -> AutoencoderKL:
    return vae.build().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def start(autoencoder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inpainter")
    inpainter.export(inpainter.build(), autoencoder, folder=folder)
    return folder


@pytest.fixture(scope="module")
def pairs(autoencoder, tmp_path_factory) -> editor.Pairs:
    path = tmp_path_factory.mktemp("pairs") / "pairs.safetensors"
    return editor.encode(autoencoder, path=path, count=12)


def test_a_pair_differs_in_one_thing() -> None:
    for index in range(40):
        before, after, old, new = editor.draw_pair(index)
        gone = [thing for thing in before.things if thing not in after.things]
        come = [thing for thing in after.things if thing not in before.things]
        assert gone == ([old] if old else []) and come == ([new] if new else [])
        assert (before.ground, before.texture) == (after.ground, after.texture)
        assert editor.draw_pair(index)[1] == after


def test_pairs_are_kept_as_the_pipeline_takes_them(pairs, autoencoder) -> None:
    scale = autoencoder.config.scaling_factor
    before, after, old, new = editor.draw_pair(0)
    assert pairs.before.shape == pairs.after.shape == (12, 4, 16, 16)
    if before == after:
        torch.testing.assert_close(pairs.before[0] * scale, pairs.after[0])
    left, top, right, bottom = (4 * edge for edge in pairs.changed[0].tolist())
    for thing in (old, new):
        box = thing.box if thing else None
        assert box is None or (left <= box.left and right >= box.right)
        assert box is None or (top <= box.top and bottom >= box.bottom)
    assert pairs.tokens.shape == (12, 2, words.LENGTH)
    end = words.VOCABULARY.index(words.END)
    assert ((pairs.tokens == end).sum(-1) == 1).all()  # no instruction is cut


def test_it_starts_as_the_inpainter_that_sees_the_picture(start) -> None:
    before = inpainter.build().unet.conv_in.weight
    after = editor.build(start, scale=0.5).unet.conv_in.weight
    assert after.shape[1] == 8
    torch.testing.assert_close(after[:, :4], before[:, :4], atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(after[:, 4:], before[:, 5:] * 0.5, atol=1e-3, rtol=1e-2)


def test_it_learns(start, pairs) -> None:
    net, same = editor.build(start, scale=1.0), torch.arange(8)

    def loss(_: torch.Tensor, __: torch.Generator) -> torch.Tensor:
        return editor.loss(net, pairs, indices=same, generator=torch.Generator().manual_seed(0))

    recipe = Recipe(steps=5, batch=8, rate=1e-3, warmup=1, cooldown=0.1)
    steps = [step.loss for step in fit(net, loss, size=12, recipe=recipe)]
    assert steps[-1] < steps[0]


def test_the_real_loader_edits_with_what_was_exported(start, autoencoder, tmp_path) -> None:
    net = editor.build(start, scale=autoencoder.config.scaling_factor)
    editor.export(net, autoencoder, folder=tmp_path)
    assert next(net.parameters()).dtype == torch.float32  # what is in memory stays as it was
    loaded = load_editor(f"local-dir:{tmp_path}")
    made = loaded.inpaint(
        torch.full((1, 3, 64, 64), 0.5), "turn a red boat into a blue fish on snow",
        masks=torch.ones(1, 1, 64, 64, dtype=torch.bool), noise=loaded.noise(64, 0),
        sampler=Sampler(2, 2.0, 1.0),
    )  # fmt: skip
    assert made.isfinite().all() and loaded.nfe == 2 * 3
