"""What lies on disk: whole files, exact round trips, one sentence for whatever is wrong."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from lr_edit.errors import Notice, UserError
from lr_edit.types import Bank, Choice
from lr_edit.workspace.folders import remove_leftovers
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
    write_tensors,
)

few = hypothesis_settings(max_examples=25)


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


@pytest.mark.parametrize(
    "row", [{"point": -1, "size": 0}, {"point": 0}, {"point": 0.5, "size": 0}, [0, 0], "x", None,
            {"point": True, "size": 0}, {"point": 0, "size": 0, "more": 1}],
)  # fmt: skip
def test_a_choice_that_is_no_candidate_is_named(tmp_path: Path, row: object) -> None:
    write_json(tmp_path / "choices.json", {"a": [row]})
    with pytest.raises(UserError, match="task 'a' has the choice"):
        read_choices(tmp_path / "choices.json")
    write_json(tmp_path / "choices.json", [row])
    with pytest.raises(UserError, match="must map tasks to choices"):
        read_choices(tmp_path / "choices.json")


GOOD = {
    "boxes": np.zeros((2, 3, 4), int), "losses": np.zeros((2, 3, 3)),
    "cosines": np.zeros((2, 3, 2)), "anchors": np.zeros((2, 2), int), "attention": np.zeros((4, 5)),
    "features": np.zeros((6, 4, 5)), "relevance": np.zeros((4, 5)), "nfe": np.array([8]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("losses", np.zeros((2, 2, 3))),
        ("losses", np.zeros((2, 3, 3), int)),
        ("cosines", np.zeros((2, 3))),
        ("boxes", np.zeros((2, 3, 4))),
        ("anchors", np.zeros((3, 2), int)),
        ("features", np.zeros((6, 5, 4))),
        ("nfe", np.array([8, 9])),
        ("extra", np.zeros(3)),
        ("relevance", None),
        *((name, GOOD[name][:0]) for name in GOOD if name != "features"),
    ],
)
def test_tables_of_another_shape_or_kind_are_no_candidates(
    tmp_path: Path, name: str, value: np.ndarray | None
) -> None:
    tables = {key: table for key, table in {**GOOD, name: value}.items() if table is not None}
    write_tensors(tmp_path / "bank.safetensors", tables)
    with pytest.raises(UserError, match=r"bank\.safetensors holds no candidates"):
        read_bank(tmp_path / "bank.safetensors")


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


def test_what_a_killed_writer_left_is_removed_and_one_at_work_keeps_its_own(tmp_path: Path) -> None:
    mine = f".a.png.{os.getpid()}.1.part"
    for name in (mine, ".a.png.4194999.1.part", "a.png"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine, "a.png"])
