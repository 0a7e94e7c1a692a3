"""The world knows its words and where everything lies; a seed decides all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lr_edit.picturebook.pool import SPLITS, load_pool, scene_rng
from lr_edit.picturebook.world import (
    COLOURS,
    GROUNDS,
    KINDS,
    RADII,
    SIDE,
    Scene,
    Thing,
    draw,
    place_thing,
    sample_scene,
)
from lr_edit.types import Box

SCENES = [sample_scene(scene_rng("pretrain", i)) for i in range(150)]
RINGING = (40, 8)  # grey levels: LANCZOS overshoots one and two pixels beside an edge


def changed_by(thing: Thing, ground: str = "night") -> np.ndarray:
    """How much each pixel changes, (64, 64), when the thing is drawn."""
    scene = Scene(ground, 7, (thing,))
    with_it, without = draw(scene).astype(int), draw(scene.swap(thing, None)).astype(int)
    return np.abs(with_it - without).max(2)


def outside(change: np.ndarray, box: Box, distance: int) -> np.ndarray:
    """The change at more than `distance` pixels from the box."""
    rest = change.copy()
    top, left = max(0, box.top - distance), max(0, box.left - distance)
    rest[top : box.bottom + distance, left : box.right + distance] = 0
    return rest


def a_thing(kind: str, seed: int) -> Thing:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    radius = rng.uniform(*RADII)
    x, y = rng.uniform(radius + 1, SIDE - radius - 1, 2)
    colour = list(COLOURS)[seed % len(COLOURS)]
    return Thing(kind, colour, float(x), float(y), float(radius))


def test_a_seed_gives_the_same_scene_and_the_same_picture() -> None:
    for index in (0, 5):
        first, second = (sample_scene(scene_rng("dev", index)) for _ in range(2))
        assert first == second
        assert np.array_equal(draw(first), draw(second))


def test_other_splits_and_seeds_give_other_scenes() -> None:
    scenes = [sample_scene(scene_rng(split, i)) for split in SPLITS for i in range(40)]
    scenes += [sample_scene(scene_rng("dev", i, seed=1)) for i in range(40)]
    assert len(set(scenes)) == len(scenes)


def test_a_picture_is_64_rgb_bytes_square() -> None:
    picture = draw(SCENES[0])
    assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_box_holds_its_drawing_and_fits_it_within_two_pixels(kind: str, seed: int) -> None:
    thing = a_thing(kind, seed)
    change, box = changed_by(thing), thing.box
    for distance, level in enumerate(RINGING):
        assert outside(change, box, distance).max() <= level
    rows, columns = np.nonzero(change > RINGING[0])
    drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.subtract(box.as_tuple(), drawn)).max() <= 2, (box, drawn)


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_thing_is_seen_on_every_ground(ground: str) -> None:
    for colour in COLOURS:
        thing = replace(a_thing("ball", 0), colour=colour)
        assert changed_by(thing, ground).max() > RINGING[0]


def test_things_never_touch_and_lie_inside_the_picture() -> None:
    for scene in SCENES:
        boxes = [thing.box for thing in scene.things]
        for index, a in enumerate(boxes):
            assert a.right <= SIDE and a.bottom <= SIDE
            for b in boxes[index + 1 :]:
                apart = max(b.left - a.right, a.left - b.right, b.top - a.bottom, a.top - b.bottom)
                assert apart >= 0, scene


def test_no_two_things_of_a_scene_share_a_name() -> None:
    for scene in SCENES:
        names = [thing.name for thing in scene.things]
        assert len(set(names)) == len(names)


def test_scenes_hold_none_to_three_things_or_as_many_as_asked() -> None:
    assert {len(scene.things) for scene in SCENES} == {0, 1, 2, 3}
    for count in range(4):
        assert len(sample_scene(np.random.default_rng(3), count).things) == count


def test_every_kind_colour_and_ground_turns_up() -> None:
    things = [thing for scene in SCENES for thing in scene.things]
    assert {t.kind for t in things} == set(KINDS)
    assert {t.colour for t in things} == set(COLOURS)
    assert {s.ground for s in SCENES} == set(GROUNDS)


def test_a_caption_does_not_depend_on_the_order_of_things() -> None:
    boat, fish = Thing("boat", "red", 20, 20, 9), Thing("fish", "blue", 48, 44, 9)
    caption = "a blue fish and a red boat on sand"
    assert Scene("sand", 0, (boat, fish)).caption == caption
    assert Scene("sand", 0, (fish, boat)).caption == caption


def test_captions_have_their_article_and_a_word_for_nothing() -> None:
    assert Scene("grass", 0, (Thing("cup", "orange", 20, 20, 9),)).caption == (
        "an orange cup on grass"
    )
    assert Scene("snow", 0, ()).caption == "nothing on snow"


def test_one_caption_means_one_set_of_words() -> None:
    for scene in SCENES:
        turned = replace(scene, things=scene.things[::-1])
        assert turned.caption == scene.caption
        assert scene.caption.endswith(f" on {scene.ground}")
        assert all(thing.phrase in scene.caption for thing in scene.things)


def test_swapping_touches_one_thing_only() -> None:
    scene = next(s for s in SCENES if len(s.things) == 3)
    old = scene.things[1]
    new = replace(old, colour="pink" if old.colour != "pink" else "red")
    after = scene.swap(old, new)
    assert after.things == (scene.things[0], new, scene.things[2])
    assert scene.swap(old, None).things == (scene.things[0], scene.things[2])
    assert (after.ground, after.texture) == (scene.ground, scene.texture)


def test_a_crowded_scene_has_no_room() -> None:
    giant = Thing("crate", "red", SIDE / 2, SIDE / 2, SIDE / 2)
    assert place_thing(np.random.default_rng(0), [giant]) is None


def test_a_pool_is_drawn_once_and_read_again(tmp_path) -> None:
    first = load_pool("val", 3, folder=tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    second = load_pool("val", 3, folder=tmp_path)
    assert kept.stat().st_mtime_ns == before
    assert first.scenes == second.scenes and np.array_equal(first.images, second.images)
    assert np.array_equal(first.images[1], draw(first.scenes[1]))
    pictures = second.pictures([2, 0])
    assert tuple(pictures.shape) == (2, 3, SIDE, SIDE)
    assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    assert np.array_equal((pictures[1] * 255).round().permute(1, 2, 0).numpy(), first.images[0])
