"""What lies on disk: whole files, exact round trips, one sentence for whatever is wrong."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from lr_edit.errors import Notice, UserError
from lr_edit.types import Bank, Box, Choice, EditTask, Label, Truth
from lr_edit.workspace.storage import (
    atomic_write,
    content_key,
    folder_digest,
    read_bank,
    read_choices,
    read_image,
    read_json,
    read_tasks,
    read_tensors,
    write_bank,
    write_choices,
    write_image,
    write_json,
    write_tasks,
    write_tensors,
)

few = hypothesis_settings(max_examples=25)
# Alphabets by hand: hypothesis' Unicode tables take long to build.
words = st.text("aZ0 \"\\/{}'\n\tä字🐟", min_size=1, max_size=8).filter(lambda s: bool(s.strip()))
names = st.text("aZ0_-.", max_size=8).map(lambda rest: f"a{rest}")
corners = st.tuples(
    st.integers(0, 99), st.integers(0, 99), st.integers(100, 199), st.integers(100, 199)
)
labels = st.tuples(words, words)
truths = st.tuples(
    st.none() | corners, st.none() | labels, st.lists(st.tuples(labels, corners), max_size=2)
)
tasks = st.tuples(names, words, words, st.none() | words, st.none() | truths)


def truth_of(box: tuple | None, wanted: tuple | None, bystanders: list) -> Truth:
    return Truth(
        box=Box(*box) if box else None,
        wanted=Label(*wanted) if wanted else None,
        bystanders=tuple((Label(*label), Box(*place)) for label, place in bystanders),
    )


def task_of(name: str, source: str, prompt: str, caption: str | None, truth: Any) -> EditTask:
    image = Path("images") / f"{name}.png"
    known = truth_of(*truth) if truth else None
    return EditTask(name, image, source, prompt, caption=caption, truth=known)


@pytest.fixture
def task() -> dict:
    return {"id": "a", "image": "images/a.png", "source": "a boat", "prompt": "a fish"}


def tasks_file(folder: Path, *rows: dict) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps(list(rows)))
    return path


@few
@given(st.lists(tasks, max_size=3, unique_by=lambda parts: parts[0]))
def test_tasks_come_back_as_they_were(drawn: list) -> None:
    rows = [task_of(*parts) for parts in drawn]
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(Path(folder) / "tasks.json", rows)
        assert read_tasks(Path(folder) / "tasks.json") == rows


@few
@given(st.data())
def test_banks_come_back_as_they_were(data) -> None:
    floats = arrays.arrays(np.float32, (2, 3, 3), elements=st.floats(width=32))
    bank = Bank(
        boxes=data.draw(arrays.arrays(np.int64, (2, 3, 4))),
        losses=data.draw(floats),
        cosines=data.draw(floats)[..., :2],
        anchors=data.draw(arrays.arrays(np.int64, (2, 2))),
        attention=data.draw(arrays.arrays(np.float32, (4, 5), elements=st.floats(width=32))),
        features=data.draw(arrays.arrays(np.float32, (3, 4, 5), elements=st.floats(width=32))),
        relevance=data.draw(arrays.arrays(np.float32, (4, 5), elements=st.floats(width=32))),
        nfe=data.draw(st.integers(0, 10**9)),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_bank(Path(folder) / "bank.safetensors", bank)
        again = read_bank(Path(folder) / "bank.safetensors")
    assert vars(again).keys() == vars(bank).keys()
    for name, value in vars(bank).items():
        np.testing.assert_array_equal(getattr(again, name), value)
        assert np.asarray(getattr(again, name)).dtype == np.asarray(value).dtype


def test_images_come_back_as_they_were(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    with pytest.warns(Notice, match=r"clear\.png: what is transparent is taken for white"):
        assert (read_image(tmp_path / "clear.png") == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK", "1", "I;16"])
def test_every_kind_of_image_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (5, 3), (0, 255) if mode == "LA" else 0).save(path)
    image = read_image(path)
    assert image.shape == (3, 5, 3) and image.dtype == np.uint8


def test_choices_come_back_as_they_were(tmp_path: Path) -> None:
    choices = {"a": [Choice(1, 2), Choice(0, 0)], "b": []}
    write_choices(tmp_path / "choices.json", choices)
    assert read_choices(tmp_path / "choices.json") == choices


def test_equal_values_are_equal_files(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [2, 3]})
    write_json(tmp_path / "b.json", {"a": [2, 3], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(RuntimeError), atomic_write(path) as part:
        part.write_text("half a")
        raise RuntimeError
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"image .*gone\.png is missing"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_corrupt_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(UserError, match=r"image .*bad\.png cannot be read"):
        read_image(tmp_path / "bad.png")


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(tmp_path / "whole.png", noise)
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path / "cut.png")


@pytest.mark.parametrize("read", [read_json, read_tensors, read_bank, read_tasks])
def test_a_missing_file_is_named_with_what_makes_it(tmp_path: Path, read) -> None:
    with pytest.raises(UserError, match="is missing: run the stage"):
        read(tmp_path / "gone")


def test_unreadable_tensors_and_json_are_named(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"a": np.zeros(100)})
    (tmp_path / "t.safetensors").write_bytes((tmp_path / "t.safetensors").read_bytes()[:50])
    with pytest.raises(UserError, match=r"t\.safetensors cannot be read"):
        read_tensors(tmp_path / "t.safetensors")
    (tmp_path / "j.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(tmp_path / "j.json")


@pytest.mark.parametrize("key", ["id", "image", "source", "prompt"])
@pytest.mark.parametrize("value", ["", "  ", None, 3])
def test_an_empty_field_is_named(tmp_path: Path, task: dict, key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"empty '{key}'"):
        read_tasks(tasks_file(tmp_path, task | {key: value}))


@pytest.mark.parametrize("image", ["/etc/a.png", "../a.png", "images/../../a.png"])
def test_an_image_outside_the_data_folder_is_refused(
    tmp_path: Path, task: dict, image: str
) -> None:
    with pytest.raises(UserError, match="leaves"):
        read_tasks(tasks_file(tmp_path, task | {"image": image}))


def test_a_link_out_of_the_data_folder_is_refused(tmp_path: Path, task: dict) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "images").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leaves"):
        read_tasks(tasks_file(data, task))


@pytest.mark.parametrize("name", ["a/b", "..", ".a", "a b", "a\\b"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, task: dict, name: str) -> None:
    with pytest.raises(UserError, match="may hold letters"):
        read_tasks(tasks_file(tmp_path, task | {"id": name}))


def test_a_repeated_id_an_unknown_key_and_other_shapes_are_refused(
    tmp_path: Path, task: dict
) -> None:
    with pytest.raises(UserError, match="more than once"):
        read_tasks(tasks_file(tmp_path, task, task))
    with pytest.raises(UserError, match="unknown key 'promt'"):
        read_tasks(tasks_file(tmp_path, task | {"promt": "a fish"}))
    with pytest.raises(UserError, match="must be a mapping"):
        read_tasks(tasks_file(tmp_path, ["a"]))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="malformed truth"):
        read_tasks(tasks_file(tmp_path, task | {"truth": {"box": 3}}))
    (tmp_path / "tasks.json").write_text("3")
    with pytest.raises(UserError, match="must hold a list"):
        read_tasks(tmp_path / "tasks.json")


def test_the_released_form_is_read(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text(json.dumps({"1.png": ["trees", "a big tree"]}))
    assert read_tasks(path) == [EditTask("1", Path("1.png"), "trees", "a big tree")]
    path.write_text(json.dumps({"1.png": ["trees", " "]}))
    with pytest.raises(UserError, match="empty 'prompt'"):
        read_tasks(path)
    path.write_text(json.dumps({"1.png": "trees"}))
    with pytest.raises(UserError, match="must map to"):
        read_tasks(path)


def test_a_content_key_tells_values_types_shapes_and_borders_apart(tmp_path: Path) -> None:
    zeros = np.zeros(4, dtype=np.float32)
    parts = [
        ("ab", "c"), ("a", "bc"), (1,), (1.0,), ("1",), (zeros,), (zeros.reshape(2, 2),),
        (zeros.astype(np.int32),), ({"a": 1},),
    ]  # fmt: skip
    assert len({content_key(*part) for part in parts}) == len(parts)
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    (tmp_path / "a").write_text("1")
    first = folder_digest(tmp_path)
    (tmp_path / "a").write_text("2")
    assert folder_digest(tmp_path) != first
