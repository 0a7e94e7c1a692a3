"""Edits of the drawn world know their own answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lr_edit.cli.main import main
from lr_edit.picturebook.tasks import COUNTS, count_more, make_task, write_data
from lr_edit.picturebook.world import KINDS, Scene, Thing, draw
from lr_edit.types import Label
from lr_edit.workspace.storage import read_image, read_tasks

CATEGORIES = ("replace", "recolour", "remove", "add")
MADE = [
    (category, *make_task(category, "dev", index=index))
    for category in CATEGORIES
    for index in range(24)
]


def difference(before: Scene, after: Scene) -> tuple[set[Thing], set[Thing]]:
    """Things that went and things that came."""
    return set(before.things) - set(after.things), set(after.things) - set(before.things)


def test_a_task_never_changes() -> None:
    for category, task, before, after in MADE[::7]:
        index = int(task.id.rsplit("-", 1)[1])
        assert make_task(category, "dev", index=index) == (task, before, after)
    assert make_task("replace", "dev", index=0, seed=1) != make_task("replace", "dev", index=0)


def test_the_prompt_describes_the_scene_that_should_come() -> None:
    for _, task, before, after in MADE:
        assert task.prompt == after.caption
        assert task.caption == before.caption
        assert task.prompt != task.caption
        assert (after.ground, after.texture) == (before.ground, before.texture)


def test_exactly_one_thing_changes_and_the_truth_says_which() -> None:
    for category, task, before, after in MADE:
        went, came = difference(before, after)
        assert (len(went), len(came)) == {
            "replace": (1, 1), "recolour": (1, 1), "remove": (1, 0), "add": (0, 1),
        }[category]  # fmt: skip
        assert task.truth is not None
        assert task.truth.wanted == next((Label(t.kind, t.colour) for t in came), None)
        assert task.truth.box == next((t.box for t in went), None)
        assert task.source == next((t.phrase for t in went), before.ground)
        if category == "recolour":
            assert {t.kind for t in went} == {t.kind for t in came}
        if category == "replace":
            assert {t.kind for t in went} != {t.kind for t in came}


def test_bystanders_are_the_things_that_stay() -> None:
    for _, task, before, after in MADE:
        stay = [t for t in before.things if t in after.things]
        assert task.truth is not None
        assert list(task.truth.bystanders) == [(Label(t.kind, t.colour), t.box) for t in stay]


def test_names_stay_unlike_so_that_words_are_unambiguous() -> None:
    for _, _, before, after in MADE:
        for scene in (before, after):
            names = [thing.name for thing in scene.things]
            assert len(set(names)) == len(names)
        _, came = difference(before, after)
        assert not {t.name for t in came} & {t.name for t in before.things}


def test_outside_the_true_box_the_two_scenes_look_alike() -> None:
    for _, _, before, after in MADE[::4]:
        went, came = difference(before, after)
        differs = np.abs(draw(before).astype(int) - draw(after)).max(2)
        for box in (thing.box for thing in (*went, *came)):  # LANCZOS rings a pixel beside edges
            top, left = max(0, box.top - 1), max(0, box.left - 1)
            differs[top : box.bottom + 1, left : box.right + 1] = 0
        assert differs.max() <= 8


@pytest.mark.parametrize("category", ["replace", "recolour", "remove"])
def test_every_second_scene_has_distractors(category: str) -> None:
    for index in range(12):
        _, before, _ = make_task(category, "dev", index=index)
        assert len(before.things) == 1 if index % 2 == 0 else len(before.things) in (2, 3)


def test_splits_hold_other_scenes() -> None:
    seen = [
        replace(make_task("replace", split, index=index)[1], texture=0)
        for split in COUNTS
        for index in range(30)
    ]
    assert len(set(seen)) == len(seen)


def test_the_study_is_large_enough_and_mostly_replacing_and_recolouring() -> None:
    counts = COUNTS["dev"]
    assert sum(counts.values()) >= 96
    assert counts["replace"] + counts["recolour"] >= 0.8 * sum(counts.values())
    assert set(counts) <= set(CATEGORIES)


def test_the_test_split_has_one_two_and_three_things_in_equal_parts() -> None:
    counts = COUNTS["test"]
    headline = [name for name in ("replace", "recolour") for _ in range(counts[name])]
    assert len(headline) >= 320 and counts["remove"] == counts["add"] == 48
    made = [make_task(name, "test", index=at)[1] for at, name in enumerate(headline)]
    assert Counter(len(before.things) for before in made) == dict.fromkeys((1, 2, 3), 108)


def test_dev_keeps_the_ids_that_its_noise_is_drawn_by() -> None:
    task, _, _ = make_task("replace", "dev", index=0)
    assert (task.id, task.split) == ("eval-000", "dev")


def test_written_data_reads_back_as_it_was(tmp_path: Path) -> None:
    small = {"train": {"replace": 1}, "dev": dict.fromkeys(CATEGORIES, 1)}
    tasks = write_data(tmp_path / "first", seed=3, counts=small)
    assert read_tasks(tmp_path / "first/tasks.json") == tasks
    assert Counter(task.split for task in tasks) == {"train": 1, "dev": 4}
    for index, task in enumerate(tasks[1:]):
        _, before, _ = make_task(task.category, "dev", index=index, seed=3)
        assert np.array_equal(read_image(tmp_path / "first" / task.image), draw(before))
    write_data(tmp_path / "second", seed=3, counts=small)
    for path in (tmp_path / "first").rglob("*.*"):
        other = tmp_path / "second" / path.relative_to(tmp_path / "first")
        assert path.read_bytes() == other.read_bytes()


def test_more_tasks_are_drawn_of_the_split_that_is_learned_from_into_a_folder_that_is_named(
    tmp_path: Path,
) -> None:
    assert count_more(5) == {"train": {"replace": 3, "recolour": 2}}
    main(["picturebook", "draw", "--train", "5", "--out", str(tmp_path / "more")])
    tasks = read_tasks(tmp_path / "more/tasks.json")
    assert [task.category for task in tasks] == ["replace"] * 3 + ["recolour"] * 2
    assert tasks[4] == make_task("recolour", "train", index=4)[0]
    with pytest.raises(SystemExit) as refused:
        main(["picturebook", "draw", "--train", "5"])
    assert refused.value.code == 2


def test_kinds_of_the_truth_are_kinds_of_the_world() -> None:
    wanted = [task.truth.wanted for _, task, _, _ in MADE if task.truth and task.truth.wanted]
    assert {label.kind for label in wanted} <= set(KINDS)
