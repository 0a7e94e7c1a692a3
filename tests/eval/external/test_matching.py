"""Which file is the edit of which task, and what is left open."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.external.datasets.listing import image_names
from eval.external.matching import match_edits


def by_image(**images: str) -> dict[str, tuple[str, ...]]:
    from pathlib import Path

    return {task: image_names(Path(image), task) for task, image in images.items()}


def test_an_edit_is_named_after_its_image_its_task_or_its_file() -> None:
    names = by_image(a="in/1.png", b="in/2.png", c="in/3.png")
    found = match_edits(names, ["in/1.jpg", "b.webp", "3.TIFF", "note.txt"])
    assert found.found == {"a": "in/1.jpg", "b": "b.webp", "c": "3.TIFF"}
    assert not (found.missing or found.extra)


def test_the_images_own_suffix_is_surer_than_another() -> None:
    assert match_edits(by_image(a="1.png"), ["1.jpg", "1.png"]).found == {"a": "1.png"}
    assert match_edits({"a": ["a"]}, ["a.jpg", "a.png"]).doubled == {"a": ("a.jpg", "a.png")}


@pytest.mark.parametrize("ours", ["NFC", "NFD"])
@pytest.mark.parametrize("theirs", ["NFC", "NFD"])
def test_accents_are_compared_composed_and_suffixes_in_any_case(ours: str, theirs: str) -> None:
    name, file = (unicodedata.normalize(form, "Kühe/größe") for form in (ours, theirs))  # type: ignore[arg-type]
    assert match_edits({"a": [name]}, [f"{file}.PNG"]).found == {"a": f"{file}.PNG"}


def test_a_missing_turn_is_missing_and_no_other_turns_edit() -> None:
    names = {"7_1": ("7/7_1", "7_1"), "7_inde_2": ("7/7_inde_2", "7_inde_2")}
    found = match_edits(names, ["7/7_1.png", "7/7_iter_2.png"])
    assert found.found == {"7_1": "7/7_1.png"} and found.missing == ("7_inde_2",)
    assert found.extra == ("7/7_iter_2.png",) and found.nearest("7_inde_2") == "7/7_iter_2.png"


def test_one_base_name_in_two_folders_names_neither() -> None:
    names = by_image(a="x/1.png", b="y/1.png")
    assert match_edits(names, ["1.png"]).contested == {"1.png": ("a", "b")}
    assert match_edits(names, ["x/1.png", "y/1.png"]).found == {"a": "x/1.png", "b": "y/1.png"}
    found = match_edits(names, ["x/1.png"])
    assert found.found == {"a": "x/1.png"} and found.missing == ("b",)


def test_an_id_that_is_another_images_name_is_not_guessed() -> None:
    crossed = {"1": ("2.png", "2", "1"), "2": ("1.png", "1", "2")}
    found = match_edits(crossed, ["1.png", "2.png"])
    assert not found.found and set(found.contested) == {"1.png", "2.png"}
    chain = by_image(a="x.png", x="y.png")  # x.png is task a's, so that y.png is all that x has
    assert match_edits(chain, ["x.png", "y.png"]).found == {"a": "x.png", "x": "y.png"}
    assert match_edits(chain, ["x.png"]).contested == {"x.png": ("a", "x")}


def test_several_edits_of_one_image_are_named_by_their_tasks() -> None:
    names = by_image(sit="dog.png", run="dog.png")
    assert match_edits(names, ["sit.png", "run.png"]).found == {"sit": "sit.png", "run": "run.png"}
    found = match_edits(names, ["dog.png", "sit.png", "run.png"])
    assert found.found == {"sit": "sit.png", "run": "run.png"} and found.extra == ("dog.png",)
    assert match_edits(names, ["dog.png", "sit.png"]).contested == {"dog.png": ("sit", "run")}


STEMS = st.sampled_from(["a", "b", "c", "d/a", "d/b", "e/a"])


@given(st.lists(st.lists(STEMS, min_size=1, max_size=4), max_size=5), st.sets(STEMS))
def test_a_file_belongs_to_one_task_and_every_task_is_accounted_for(
    names: list[list[str]], files: set[str]
) -> None:
    wanted = {str(n): tuple(own) for n, own in enumerate(names)}
    found = match_edits(wanted, [f"{name}.png" for name in files])
    assert len(set(found.found.values())) == len(found.found)
    for task, file in found.found.items():
        assert file.removesuffix(".png") in wanted[task]
    unclear = {task for tasks in found.contested.values() for task in tasks}
    assert {*found.found, *found.missing, *found.doubled, *unclear} == set(wanted)
    for task in found.missing:
        assert not files & set(wanted[task]) - {
            f.removesuffix(".png") for f in found.found.values()
        }
    kept = {*found.found.values(), *found.contested, *found.extra}
    assert kept == {f"{name}.png" for name in files}


def test_names_that_differ_in_form_alone_go_by_their_spelling() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    found = match_edits(
        {"1": [composed], "2": [apart]}, [f"{composed}.png", f"{apart}.png"]
    ).found  # fmt: skip
    assert found == {"1": f"{composed}.png", "2": f"{apart}.png"}


def test_every_kind_of_picture_that_can_be_read_is_an_edit() -> None:
    assert match_edits({"a": ["a"]}, ["a.gif"]).found == {"a": "a.gif"}
