"""What is edited is never written over, wherever one stands; what no model knows is said."""

from __future__ import annotations

import inspect
import pickle
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lr_edit import Editor, EditResult, UserError
from lr_edit.errors import Notice, check_flag
from lr_edit.request import Mode

WORDS: dict[str, Any] = {"source": "a red boat", "prompt": "a blue fish on sand"}
BOXES = [(8, 8, 40, 40)]


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture of the working directory, which has a folder beside it."""
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path)
    return path


@pytest.mark.parametrize("read", [Path, str, Image.open])
def test_the_input_is_known_from_another_folder_and_however_it_was_opened(
    editor: Editor, photo: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = photo.read_bytes()
    result = editor(read("photo.png"), **WORDS, boxes=BOXES)
    assert result.path == photo
    monkeypatch.chdir(photo.parent / "beside")
    with pytest.raises(UserError, match="is the picture that is edited"):
        result.save("../photo.png", overwrite=True)
    assert photo.read_bytes() == before
    Image.new("RGB", (8, 8)).save("photo.png")  # another picture of that name
    assert result.save("photo.png", overwrite=True).is_file()


def test_boxes_of_ones_own_are_all_inpainted_and_the_result_says_so(
    editor: Editor, photo: Path
) -> None:
    assert editor(photo, **WORDS, boxes=BOXES).mode == "enumerate"
    mask = np.zeros((64, 64), bool)
    mask[8:40, 8:40] = True
    assert editor(photo, **WORDS, mask=mask).mode == "enumerate"


def test_words_that_the_small_models_do_not_know_are_said(editor: Editor, photo: Path) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        editor(photo, source="a red zebra", prompt="an orange fish on moon", boxes=BOXES)
    (said,) = (str(one.message) for one in heard if one.category is Notice)
    assert "do not know 'zebra', 'moon'" in said


@pytest.mark.parametrize("source", ["🛶", "???", "a 🛶", "\u200b"])
def test_signs_that_are_no_words_are_said(editor: Editor, photo: Path, source: str) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        editor(photo, source=source, prompt="a red cup on grass", boxes=BOXES)
    (said,) = (str(one.message) for one in heard if one.category is Notice)
    assert "do not know" in said


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_the_papers_procedure_learns_where_gradients_are_off(
    editor: Editor, photo: Path, off: Any
) -> None:
    usual = editor(photo, **WORDS, mode="paper")
    with off():
        again = editor(photo, **WORDS, mode="paper")
    assert again.box == usual.box and again.score == usual.score


@contextmanager
def settings(dtype: torch.dtype, device: str | None) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


@pytest.mark.parametrize("mode", ["detected", "grounded", "race", "paper"])
@pytest.mark.parametrize(
    "own",
    [
        lambda: settings(torch.float64, None),
        lambda: settings(torch.float32, "meta"),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
)
def test_what_the_caller_has_set_in_torch_changes_no_edit(
    editor: Editor, photo: Path, mode: Mode, own: Any
) -> None:
    usual = editor(photo, **WORDS, mode=mode)
    with own():
        again = editor(photo, **WORDS, mode=mode)
    assert again.score == usual.score
    assert np.array_equal(np.asarray(again.image), np.asarray(usual.image))


def test_a_result_can_be_sent_to_another_process(editor: Editor, photo: Path) -> None:
    result = editor(photo, **WORDS, boxes=BOXES)
    sent = pickle.loads(pickle.dumps(result))
    assert np.array_equal(np.asarray(sent.image), np.asarray(result.image))


def test_threads_take_turns_with_one_editor(editor: Editor, photo: Path) -> None:
    usual = editor(photo, **WORDS, boxes=BOXES)
    with ThreadPoolExecutor(3) as pool:
        many = list(pool.map(lambda _: editor(photo, **WORDS, boxes=BOXES), range(3)))
    assert all(one.score == usual.score for one in many)


def test_a_root_without_the_weights_is_no_root(tmp_path: Path, home: Path) -> None:
    with pytest.raises(UserError, match="holds no weights of the profile 'picturebook'"):
        Editor.from_profile("picturebook", root=tmp_path)
    (home / "below").mkdir(exist_ok=True)
    study = home / "params.yaml"
    assert Editor.from_profile("picturebook", root=home / "below", study=study)


@pytest.mark.parametrize("said", ["no", 1, None])
def test_a_text_is_no_leave(said: Any) -> None:
    with pytest.raises(UserError, match=r"force is .*: give True or False"):
        check_flag("force", said)


def test_a_text_is_no_leave_to_overwrite(editor: Editor, photo: Path) -> None:
    """Run as a user runs it: the suite's own check of types would be first."""
    result = editor("photo.png", **WORDS, boxes=BOXES)
    mine = photo.parent / "mine.png"
    mine.write_bytes(b"mine")
    save: Any = inspect.unwrap(EditResult.save)
    with pytest.raises(UserError, match="overwrite is 'no': give True or False"):
        save(result, mine, overwrite="no")
    assert mine.read_bytes() == b"mine"
