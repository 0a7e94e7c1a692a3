"""The small inpainter's training: masks, what they hide, and a head that tells it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lr_edit.picturebook import inpainter, vae
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, draw, sample_scene

CELLS = SIDE // vae.GRID


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_mask_over_a_thing_hides_all_of_it(seed: int, over: bool) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng)
    cell, thing = inpainter.draw_mask(scene, rng, over=over)
    left, top, right, bottom = cell
    assert 0 <= left < right <= CELLS and 0 <= top < bottom <= CELLS
    assert (thing is not None) == (over and bool(scene.things))
    if thing:
        assert left * vae.GRID <= thing.box.left and thing.box.right <= right * vae.GRID
        assert top * vae.GRID <= thing.box.top and thing.box.bottom <= bottom * vae.GRID


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_nothing_is_missing_only_where_no_thing_is_touched(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng)
    cell, thing = inpainter.draw_mask(scene, rng, over=False)
    kind, colour = inpainter.missing_labels(scene, cell, thing=thing)
    mask = np.zeros((CELLS, CELLS), bool)
    mask[cell[1] : cell[3], cell[0] : cell[2]] = True
    mask = mask.repeat(vae.GRID, 0).repeat(vae.GRID, 1)
    touched = any(mask[b.top : b.bottom, b.left : b.right].any() for b in
                  (thing.box for thing in scene.things))  # fmt: skip
    assert (kind == len(KINDS)) == (colour == len(COLOURS)) == (not touched)


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> inpainter.Latents:
    rng = np.random.default_rng(0)
    scenes = tuple(sample_scene(rng) for _ in range(6))
    pool = Pool(scenes, np.stack([draw(scene) for scene in scenes]))
    path: Path = tmp_path_factory.mktemp("latents") / "latents.safetensors"
    first = inpainter.encode(vae.build(), pool, path=path)
    again = inpainter.encode(vae.build(), pool, path=path)
    assert torch.equal(first.clean, again.clean)
    return first


def test_masked_latents_are_the_clean_ones_away_from_the_mask(latents: inpainter.Latents) -> None:
    assert latents.clean.shape == (6, 4, CELLS, CELLS)
    assert latents.masks.shape == (6, inpainter.MASKS, 1, CELLS, CELLS)
    assert set(latents.masks.unique().tolist()) == {0.0, 1.0}
    assert (latents.masked[:, 0] != latents.clean).any()


def test_one_batch_is_learned_and_the_head_tells_what_is_missing(
    latents: inpainter.Latents,
) -> None:
    net = inpainter.build()
    adam = torch.optim.Adam(net.parameters(), lr=2e-3)
    indices = torch.arange(6)
    values = []
    for _ in range(12):
        value = inpainter.loss(
            net, latents, indices=indices, generator=torch.Generator().manual_seed(0)
        )
        adam.zero_grad()
        value.backward()
        adam.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]
    assert net.missing.weight.grad is not None and net.missing.weight.grad.any()


def test_what_is_exported_names_no_folder_of_the_machine_that_trained(tmp_path: Path) -> None:
    vae.build().save_pretrained(tmp_path / "vae")
    loaded = vae.AutoencoderKL.from_pretrained(tmp_path / "vae")
    inpainter.export(inpainter.build(), loaded, folder=tmp_path / "inpainter")
    for path in (tmp_path / "inpainter").rglob("*.json"):
        assert str(tmp_path) not in path.read_text(), path
