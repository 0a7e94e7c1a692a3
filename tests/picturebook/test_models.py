"""The small models: words, losses that learn, and folders that the real loaders read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import nn

from lr_edit.errors import UserError
from lr_edit.frozen.clip import load_clip
from lr_edit.frozen.dino import load_dino
from lr_edit.frozen.judge import load_judge
from lr_edit.frozen.perceptual import load_perceptual
from lr_edit.picturebook import anchors, clip, judge, perceptual, words
from lr_edit.picturebook.degrade import blur, degrade
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, fit
from lr_edit.picturebook.world import Scene, Thing, draw, sample_scene
from lr_edit.types import Box

CAPTIONS = [
    "a red boat and a blue cup on snow",
    "nothing on grass",
    "an orange ball on sand",
    "A Zebra, on the MOON.",
    "",
    "a high quality image of a red boat and a blue cup and a pink fish and a red star on night",
]


@pytest.fixture(scope="module")
def pool() -> Pool:
    rng = np.random.default_rng(0)
    scenes = tuple(sample_scene(rng) for _ in range(24))
    return Pool(scenes, np.stack([draw(scene) for scene in scenes]))


def parts(name: str) -> tuple[ModuleType, dict[str, str]]:
    """The module that trains a model, and what its functions need to know of its name."""
    named = {"name": name} if name in clip.RECIPES else {}
    homes = {"anchors": anchors, "judge": judge, "perceptual": perceptual}
    return homes.get(name, clip), named


def loss_of(name: str, module: nn.Module, pool: Pool) -> Callable[..., torch.Tensor]:
    """A model's loss as training sees it: indices and a generator in."""
    home, _ = parts(name)
    if name != "perceptual":
        return lambda indices, generator: home.loss(
            module, pool, indices=indices, generator=generator
        )
    assert isinstance(module, perceptual.Named)
    named, triples = module, perceptual.make_triples(pool, 12, reconstruct=blur)
    return lambda indices, generator: perceptual.loss(
        named, pool, triples=triples, indices=indices, generator=generator
    )


LOADERS: dict[str, Callable[[str], Any]] = {
    "scoring-clip": load_clip,
    "evaluation-clip": load_clip,
    "anchors": load_dino,
    "judge": load_judge,
    "perceptual": load_perceptual,
}
every_model = pytest.mark.parametrize("name", LOADERS)


def test_open_clip_and_the_pipeline_read_the_same_ids(tmp_path: Path) -> None:
    clip.export(clip.build("scoring-clip"), tmp_path, name="scoring-clip")
    ours = words.encode(CAPTIONS)
    assert torch.equal(open_clip.get_tokenizer(f"local-dir:{tmp_path}")(CAPTIONS), ours)
    reader = words.load(tmp_path)
    theirs = reader(
        CAPTIONS, padding="max_length", max_length=reader.model_max_length, truncation=True,
        return_tensors="pt",
    )  # fmt: skip
    assert torch.equal(theirs.input_ids, ours)


def test_every_text_ends_with_the_highest_id() -> None:
    ids = words.encode(CAPTIONS)
    assert ids.shape == (len(CAPTIONS), words.LENGTH)
    end = len(words.VOCABULARY) - 1
    assert ((ids == end).sum(1) == 1).all()
    assert ids.max() == end


def test_every_word_of_a_caption_is_known() -> None:
    rng = np.random.default_rng(1)
    ids = words.encode([sample_scene(rng).caption for _ in range(200)])
    assert not (ids == words.VOCABULARY.index(words.UNKNOWN)).any()


@every_model
def test_a_model_learns_from_its_loss(name: str, pool: Pool) -> None:
    home, named = parts(name)
    module: nn.Module = home.build(**named)
    recipe = Recipe(steps=6, batch=12, rate=2e-3, warmup=1, cooldown=0.1)
    same = torch.arange(12)

    own = loss_of(name, module, pool)

    def loss(_: torch.Tensor, __: torch.Generator) -> torch.Tensor:
        return own(same, torch.Generator().manual_seed(0))

    steps = [step.loss for step in fit(module, loss, size=len(pool), recipe=recipe)]
    assert steps[-1] < steps[0]


@every_model
def test_a_models_loss_is_the_same_for_the_same_draws(name: str, pool: Pool) -> None:
    home, named = parts(name)
    values = {
        loss_of(name, home.build(**named), pool)(
            torch.arange(6), torch.Generator().manual_seed(3)
        ).item()
        for _ in range(2)
    }
    assert len(values) == 1


@every_model
def test_measures_are_shares_and_leave_the_model_trainable(name: str, pool: Pool) -> None:
    home, named = parts(name)
    module = home.build(**named)
    found = home.measure(module, pool, **({"reconstruct": blur} if name == "perceptual" else {}))
    assert all(0 <= value <= 1 for key, value in found.items() if key != "captions")
    assert all(weight.requires_grad for weight in module.parameters())


@every_model
def test_the_real_loader_reads_what_was_exported(name: str, pool: Pool, tmp_path: Path) -> None:
    home, named = parts(name)
    module = home.build(**named)
    home.export(module, tmp_path, **named)
    loaded = LOADERS[name](f"local-dir:{tmp_path}")
    inner = getattr(loaded, "model", None) or loaded.module.net
    source = {"anchors": "vit", "perceptual": "trunk"}.get(name)
    state = (getattr(module, source) if source else module).state_dict()
    for key, value in inner.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, state[key], atol=1e-3, rtol=1e-3)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 4 * 2**20


def test_scoring_clip_and_evaluation_clip_share_no_weights() -> None:
    scoring, other = (clip.build(name).state_dict() for name in ("scoring-clip", "evaluation-clip"))
    assert clip.RECIPES["scoring-clip"].seed != clip.RECIPES["evaluation-clip"].seed
    shared = [
        key for key, value in scoring.items()
        if key in other and value.ndim > 1 and torch.equal(value, other[key])
    ]  # fmt: skip
    assert shared == []


def test_a_text_true_of_another_picture_is_no_negative() -> None:
    red, blue = Thing("boat", "red", 16, 16, 10), Thing("cup", "blue", 45, 45, 10)
    scenes = [Scene("snow", 0, (red,)), Scene("snow", 1, (red, blue))]
    part = clip.Text("a red boat", frozenset({"red boat"}), None)
    whole = clip.Text(scenes[0].caption, frozenset({"red boat"}), scenes[0].caption)
    expected = [[True, True], [True, False]]  # the part is true of both, the caption of one
    assert clip.true_of(scenes, [part, whole]).tolist() == expected


def test_the_judge_names_an_image_a_box(pool: Pool) -> None:
    frozen = judge.Judge(judge.build(), kinds=judge.KIND_NAMES, colours=judge.COLOUR_NAMES)
    told = frozen.kinds_and_colours(pool.pictures([0, 1]), [Box(0, 0, 20, 20), Box(5, 9, 30, 33)])
    assert len(told) == 2
    assert all(k in judge.KIND_NAMES and c in judge.COLOUR_NAMES for k, c in told)
    with pytest.raises(ValueError, match="one box per image"):
        frozen.kinds_and_colours(pool.pictures([0, 1]), [Box(0, 0, 20, 20)])


def test_a_crop_is_the_square_about_the_box() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[:, :, 40:44, 12:16] = 1  # rows and columns differ
    crop = judge.crops(image, judge.squares([Box(12, 40, 16, 44)]))
    middle = judge.CROP // 2
    assert crop[0, :, middle - 6 : middle + 6, middle - 6 : middle + 6].min() > 0.99
    assert crop[0, :, 0, 0].max() < 0.01


def test_the_distance_of_a_picture_to_itself_is_zero(pool: Pool) -> None:
    distance = perceptual.Perceptual(perceptual.build().trunk)
    images = pool.pictures([0, 1, 2])
    assert distance(images, images).tolist() == [0, 0, 0]
    assert (distance(images, images.flip(0)) > 0).tolist() == [True, False, True]


def test_a_trunk_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dvc pull"):
        load_perceptual(f"local-dir:{tmp_path}")


def test_pictures_are_made_worse_by_little_and_repeatably() -> None:
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    first, again = (degrade(images, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.min() >= 0 and first.max() <= 1
    same = [torch.equal(a, b) for a, b in zip(first, images, strict=True)]
    assert any(same) and not all(same)


def test_triples_change_nothing_then_a_colour_then_a_kind(pool: Pool) -> None:
    triples = perceptual.make_triples(pool, 8, reconstruct=lambda images: images)
    source = (pool.pictures(triples.rows) * 255).round().to(torch.uint8)
    assert torch.equal(triples.rebuilt, source)
    for row in range(len(triples)):
        changed = (triples.recoloured[row] != source[row]).any(0)
        rows, columns = changed.nonzero().T
        boxes = [thing.box for thing in pool.scenes[int(triples.rows[row])].things]
        assert any(  # a recolour stays within one thing's box, but for the edge's smoothing
            b.left - 4 <= columns.min() and columns.max() < b.right + 4
            and b.top - 4 <= rows.min() and rows.max() < b.bottom + 4
            for b in boxes
        )  # fmt: skip
        assert (triples.replaced[row] != triples.recoloured[row]).any()


def test_the_order_of_distances_is_measured_by_the_package_itself(pool: Pool) -> None:
    """The differentiable distance of training is the lpips package's, to rounding."""
    trunk = perceptual.build().trunk
    theirs = perceptual.Perceptual(trunk)
    first, second = pool.pictures([0, 1, 2]), pool.pictures([3, 4, 5])
    seen = theirs.module.scaling_layer(2 * torch.cat([first, first, second]) - 1)
    ours = perceptual.distances(trunk(seen), 3, part=2)
    torch.testing.assert_close(theirs(first, second), ours, rtol=1e-4, atol=1e-6)


def test_the_eye_reads_one_patch_alone() -> None:
    """A patch of ground can say nothing of a thing elsewhere, or attention would rest on it."""
    eye = anchors.build().eye
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    eye(image)[0, :, 4, 4].sum().backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum(0) > 0
    assert touched[32:40, 32:40].all() and touched.sum() == 8 * 8
