"""Things that are none any more: what is spoilt, and what stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.spoil import GROWN, WAYS, load_painted, make_painted, spoil, warp
from lr_edit.picturebook.world import COLOURS, KINDS, Scene, Thing, draw
from tests.fakes import FakeInpainter

THING, BYSTANDER = Thing("house", "red", 22, 24, 14), Thing("ball", "blue", 52, 52, 9)
SCENE = Scene("sand", 3, (THING, BYSTANDER))


def picture(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(draw(scene).copy()).permute(2, 0, 1).float() / 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def pool() -> Pool:
    scenes = (SCENE, Scene("snow", 1, ()), SCENE, Scene("night", 2, (BYSTANDER, THING)))
    return Pool(scenes, np.stack([draw(scene) for scene in scenes]))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_thing_is_spoilt_and_comes_out_so_for_the_same_draws(way) -> None:
    image = picture(SCENE)
    found = way(SCENE, THING, image.clone(), generator())
    assert found.shape == image.shape and found.min() >= 0 and found.max() <= 1 + 1e-5
    box = THING.box
    inside = (found - image).abs().amax(0)[box.top : box.bottom, box.left : box.right]
    assert (inside > 0.1).float().mean() > 0.05
    assert torch.equal(found, way(SCENE, THING, image.clone(), generator()))
    if way.__name__ != "_bend":  # a picture is bent as a whole
        far = torch.ones(64, 64, dtype=torch.bool)
        far[: box.bottom + 16, : box.right + 16] = False
        assert (found - image)[:, far].abs().mean() < 0.01


def test_of_a_half_the_rest_is_ground() -> None:
    image, without = picture(SCENE), picture(SCENE.swap(THING, None))
    found = WAYS[0](SCENE, THING, image, generator(4))
    kept, gone = ((found == each).all(0) for each in (image, without))
    assert (kept | gone).all()
    box = THING.box
    area = gone[box.top : box.bottom, box.left : box.right].float().mean()
    assert 0.35 < area < 0.9


def test_all_ways_are_taken() -> None:
    image = picture(SCENE)
    found = {spoil(SCENE, THING, image, generator(seed)).sum().item() for seed in range(40)}
    assert len(found) == 40


def test_a_warp_of_nothing_is_the_picture() -> None:
    image = picture(SCENE)
    assert torch.allclose(warp(image, 0.0, generator()), image, atol=1e-5)


def test_painted_things_know_their_names_and_some_of_them_are_none(
    pool: Pool, tmp_path: Path
) -> None:
    inpainter = FakeInpainter()
    made = make_painted(pool, 9, inpainter=inpainter)
    assert len(made) == 3  # a scene without things has none
    assert made.kinds.tolist() == [KINDS.index("house"), len(KINDS), KINDS.index("ball")]
    assert made.colours.tolist() == [list(COLOURS).index(c) for c in ("red", "red", "blue")]
    assert made.boxes[0].tolist() == list(THING.box.as_tuple())
    assert inpainter.prompts == [pool.scenes[at].caption for at in (0, 2, 3)]
    box, source = THING.box, (picture(SCENE) * 255).round().to(torch.uint8)
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[box.top - GROWN : box.bottom + GROWN, box.left - GROWN : box.right + GROWN] = False
    assert (made.images[0].int() - source.int())[:, outside].float().abs().mean() < 6  # bent a bit
    kept = load_painted(pool, 9, inpainter=inpainter, path=tmp_path / "painted.safetensors")
    again = load_painted(pool, 9, inpainter=FakeInpainter(), path=tmp_path / "painted.safetensors")
    assert torch.equal(kept.images, again.images) and torch.equal(kept.kinds, made.kinds)
