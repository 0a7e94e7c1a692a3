"""The small detector: what it is taught, that it learns, and the folder that the loader reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lr_edit.frozen.detectors import load_detector
from lr_edit.picturebook import detector
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, fit, trained
from lr_edit.picturebook.world import SIDE, Scene, Thing, draw, sample_scene

BOAT = Thing("boat", "red", 20, 24, 10)


@pytest.fixture(scope="module")
def pool() -> Pool:
    rng = np.random.default_rng(0)
    scenes = tuple(sample_scene(rng, 1 + at % 3) for at in range(12))
    return Pool(scenes, np.stack([draw(scene) for scene in scenes]))


@pytest.mark.parametrize("flipped", [False, True])
def test_the_patches_inside_a_thing_know_its_names_and_its_box(flipped: bool) -> None:
    named, boxes = detector.make_targets(
        [Scene("snow", 0, (BOAT,))], flipped=torch.tensor([flipped])
    )
    on = (boxes[0, :, 2] > 0).view(8, 8)
    left, top, right, bottom = BOAT.box.as_tuple()
    middles = (torch.arange(8) + 0.5) * 8
    across = (
        ((middles >= left) & (middles < right)).flip(0)
        if flipped
        else ((middles >= left) & (middles < right))
    )
    assert torch.equal(on, ((middles >= top) & (middles < bottom))[:, None] & across)
    told = {(*detector.NAMES, *detector.KINDS_ALONE)[at] for at in named[0].amax(0).nonzero()[:, 0]}
    assert told == {"a red boat", "a boat"}
    expected = [SIDE - right, top, SIDE - left, bottom] if flipped else [left, top, right, bottom]
    assert (boxes[0][on.flatten()] * SIDE == torch.tensor(expected)).all()


def test_it_learns_and_the_same_draws_give_the_same_loss(pool) -> None:
    module, same = detector.build(), torch.arange(8)

    def loss(_: torch.Tensor, __: torch.Generator) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return detector.loss(module, pool, indices=same, generator=generator)

    assert loss(same, torch.Generator()).item() == loss(same, torch.Generator()).item()
    recipe = Recipe(steps=12, batch=8, rate=3e-4, warmup=4, cooldown=0.1)
    steps = [step.loss for step in fit(module, loss, size=len(pool), recipe=recipe)]
    assert steps[-1] < steps[0]


def test_a_loss_reaches_every_parameter_that_learns(pool) -> None:
    module = detector.build()
    detector.loss(
        module, pool, indices=torch.arange(4), generator=torch.Generator().manual_seed(0)
    ).backward()
    assert all(weight.grad is not None for weight in trained(module).values())


def test_the_real_loader_finds_what_the_trained_module_finds(pool, tmp_path: Path) -> None:
    module = detector.build().eval()
    measured = detector.measure(module, pool)
    assert set(measured) == {"found", "found_alike", "iou"}
    detector.export(module, tmp_path)
    loaded, picture = load_detector(f"local-dir:{tmp_path}"), pool.pictures([0])
    name = pool.scenes[0].things[0].phrase
    best = detector.find_best(module, picture, name=name)
    torch.testing.assert_close(loaded.find(picture, name).boxes[0], best, atol=0.2, rtol=0)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 4 * 2**20
