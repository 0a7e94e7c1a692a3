"""`Editor`: pictures of every kind in, edits at their full size out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import lr_edit
from lr_edit import Box, Editor, EditResult, UserError
from tests.source_tree import ROOT
from tests.tiny import tiny_params, write_params, write_root
from tests.transformer_layout import WRITERS

WORDS: dict[str, Any] = {"source": "a red boat", "prompt": "a blue fish on sand"}


def photo(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels(result: EditResult) -> np.ndarray:
    return np.asarray(result.image)


def saved(image: np.ndarray, path: Path) -> Path:
    Image.fromarray(image).save(path)
    return path


KINDS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "path": saved,
    "name": lambda image, path: str(saved(image, path)),
    "pil": lambda image, _: Image.fromarray(image),
    "uint8": lambda image, _: image,
    "float32": lambda image, _: (image / 255).astype(np.float32),
    "float64": lambda image, _: image / 255,
    "tensor": lambda image, _: torch.from_numpy(image).permute(2, 0, 1),
    "batch of one": lambda image, _: torch.from_numpy(image / 255).permute(2, 0, 1)[None],
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[int, int, Box]:
    """A picture's width and height, and a box in it."""
    width, height = draw(st.integers(40, 150)), draw(st.integers(40, 150))
    left, top = draw(st.integers(0, width // 2)), draw(st.integers(0, height // 2))
    right = draw(st.integers(left + width // 4, width))
    return width, height, Box(left, top, right, draw(st.integers(top + height // 4, height)))


@settings(max_examples=1)
@given(frames())
@example((150, 97, Box(8, 12, 100, 82)))  # whose box in the models' square is rounded outward
def test_pictures_of_every_kind_give_one_edit_and_nothing_outside_its_box_changes(
    editor: Editor, home: Path, frame: tuple[int, int, Box]
) -> None:
    width, height, box = frame
    source = photo(width, height)
    found = [
        editor(make(source, home / "photo.png"), **WORDS, boxes=[box], force=True)
        for make in KINDS.values()
    ]
    for result in found:
        assert result.box == box and result.score == found[0].score
        assert np.array_equal(pixels(result), pixels(found[0]))
    assert only_changed(source, pixels(found[0]), box)


@pytest.mark.parametrize(("name", "each"), [("fill", 1), ("z-image", 2)])
def test_a_profile_may_name_a_pipeline_with_a_transformer(
    name: str, each: int, tmp_path: Path, tiny_models: Path
) -> None:
    home, params = write_root(tmp_path, tiny_models), tiny_params()
    WRITERS[name](home / name)
    params["profiles"]["picturebook"] = {"cell": 16, "inpainter": {"name": f"local-dir:{name}"}}
    params["inpaint"] = {"steps": 2, "guidance": 3.0, "guided": 1.0}
    write_params(home, params)
    editor = Editor.from_profile(root=home, study=home / "params.yaml", device="cpu")
    source, boxes = photo(150, 97), [Box(8, 12, 100, 82), Box(0, 0, 40, 40)]
    result = editor(source, **WORDS, boxes=boxes, force=True)
    assert result.nfe == 2 * 2 * each and len(result.candidates) == 2
    assert only_changed(source, pixels(result), result.box)


def test_what_the_device_cannot_do_is_said(home: Path) -> None:
    with pytest.raises(UserError, match=r"^memory: `compile` is for a GPU, and this is cpu$"):
        Editor.from_profile(
            root=home, study=home / "params.yaml", device="cpu", memory={"compile": True}
        )


def only_changed(before: np.ndarray, after: np.ndarray, box: Box) -> bool:
    """Whether something changed in the box, and nothing outside of it."""
    assert before.shape == after.shape
    changed = (before != after).any(2)
    inside = changed[box.top : box.bottom, box.left : box.right].any()
    changed[box.top : box.bottom, box.left : box.right] = False
    return bool(inside and not changed.any())


@pytest.mark.parametrize("mode", ["grounded", "race", "enumerate", "paper"])
@pytest.mark.parametrize("crop", ["whole", "context"])
def test_boxes_are_pixels_of_the_picture_in_its_own_shape(
    editor: Editor, mode: Any, crop: Any
) -> None:
    source = photo(640, 192)
    if (mode, crop) == ("paper", "context"):
        with pytest.raises(UserError, match="leave out the crop"):
            editor(source, **WORDS, mode=mode, crop=crop, force=True)
        return
    result = editor(source, **WORDS, mode=mode, crop=crop, force=True)
    assert result.image.size == (640, 192) and only_changed(source, pixels(result), result.box)
    for box in (one.box for one in result.candidates):
        assert box.right <= 640 and box.bottom <= 192 and not box.left % 10
        if mode == "paper":  # 64 pixels of the models' square are 640 by 192
            assert not box.top % 3 and not box.bottom % 3
        else:  # or 640 by 640, of which the photo is the middle
            assert all(not y or y == 192 or not (y + 224) % 10 for y in (box.top, box.bottom))


def test_a_mask_says_what_may_change_pixel_by_pixel(editor: Editor, tmp_path: Path) -> None:
    source, mask = photo(150, 97), np.zeros((97, 150), dtype=bool)
    rows, columns = np.ogrid[:97, :150]
    mask[(rows - 50) ** 2 + (columns - 90) ** 2 < 30**2] = True
    kinds = [mask, mask.astype(np.uint8) * 255, torch.from_numpy(mask),
             Image.fromarray(mask), saved(mask, tmp_path / "mask.png")]  # fmt: skip
    for crop in ("whole", "context"):
        found = [editor(source, **WORDS, mask=one, crop=crop, force=True) for one in kinds]
        assert all(np.array_equal(pixels(one), pixels(found[0])) for one in found)
        changed = (pixels(found[0]) != source).any(2)
        assert changed[mask].mean() > 0.9 and not changed[~mask].any()
        assert found[0].box == Box(61, 21, 120, 80) and len(found[0].candidates) == 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"mask": np.ones((9, 8), bool)}, "the mask is 8x9 pixels and the picture 64x64"),
        ({"mask": np.zeros((64, 64), bool)}, "black all over"),
        ({"mask": np.ones((64, 64), bool)}, "white all over"),
        ({"mask": np.ones((64, 64), bool), "boxes": [(0, 0, 32, 32)]}, "give one of them"),
        ({"mask": np.ones((64, 64), bool), "budget": 9}, "leave out mode and budget"),
        ({"mask": 3}, "int is no picture"),
    ],
)
def test_a_mask_or_a_crop_that_cannot_be_is_one_sentence(
    editor: Editor, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        editor(photo(64, 64), **WORDS, **how)


def test_the_edit_is_the_best_candidate_by_what_was_asked_for(editor: Editor) -> None:
    source = photo(64, 64)
    by_score = editor(source, **WORDS, mode="enumerate")
    by_loss = editor(source, **WORDS, mode="enumerate", rank="loss")
    assert len(by_score.candidates) == 4 and by_score.nfe == 16
    assert by_score.score == max(one.score for one in by_score.candidates)
    assert by_loss.loss == min(one.loss for one in by_loss.candidates)
    assert {one.box for one in by_score.candidates} == {one.box for one in by_loss.candidates}
    assert (by_score.source, by_score.prompt) == (WORDS["source"], WORDS["prompt"])


def test_a_seed_gives_one_edit_and_another_seed_another(editor: Editor) -> None:
    edits = [editor(photo(64, 64), **WORDS, boxes=[(8, 8, 40, 40)], seed=s) for s in (3, 3, 4)]
    first, again, other = map(pixels, edits)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_list_gives_a_list_with_words_for_all_or_for_each(editor: Editor) -> None:
    images = [photo(64, 64), 255 - photo(64, 64)]
    how: dict[str, Any] = {"boxes": [(8, 8, 40, 40)]}
    prompts = ["a blue fish on sand", "a red cup on snow"]
    shares: list[float] = []
    many = editor(
        images,
        source="a boat",
        prompt=prompts,
        callback=lambda share, _: shares.append(share),
        **how,
    )
    for image, prompt, found in zip(images, prompts, many, strict=True):
        alone = editor(image, source="a boat", prompt=prompt, **how)
        assert np.array_equal(pixels(alone), pixels(found)) and found.prompt == prompt
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1 and 0.5 in shares
    with pytest.raises(UserError, match="2 pictures and 1 texts"):
        editor(images, source=["a boat"], prompt="a fish")


def test_an_edit_is_saved_as_its_suffix_says_and_never_over_another_file(
    editor: Editor, tmp_path: Path
) -> None:
    path = saved(photo(64, 64), tmp_path / "in.png")
    result = editor(path, **WORDS, boxes=[Box(8, 8, 40, 40)])
    for name in ("a.png", "b.webp"):
        with Image.open(result.save(tmp_path / name)) as written:
            assert np.array_equal(np.asarray(written.convert("RGB")), pixels(result))
    with Image.open(result.save(str(tmp_path / "c.jpg"))) as written:
        assert written.format == "JPEG" and written.size == (64, 64)
    with pytest.raises(UserError, match="is there already"):
        result.save(tmp_path / "a.png")
    result.save(tmp_path / "a.png", overwrite=True)
    (tmp_path / "link.png").symlink_to(path)
    before = path.read_bytes()
    for place in (path, tmp_path / "link.png", tmp_path / "." / "in.png"):
        with pytest.raises(UserError, match="the picture that is edited"):
            result.save(place, overwrite=True)
    assert path.read_bytes() == before
    with pytest.raises(UserError, match="ends in one of"):
        result.save(tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (3, "int is no picture"),
        (np.zeros((4, 4, 3)) + 2, r"lies in \[0, 1\]"),
        (np.full((4, 4, 3), np.nan), r"lies in \[0, 1\]"),
        (np.zeros((4, 4, 3), dtype=np.int64), "picture of int64"),
        (np.zeros((2, 4, 4, 3)), "as a list"),
        (np.zeros((0, 4, 3)), "no picture"),
        (torch.zeros(5, 4, 3), "give \\(3, height, width\\)"),
        (torch.zeros(2, 3, 4, 4), "as a list"),
    ],
)
def test_what_is_no_picture_is_one_sentence(editor: Editor, image: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        editor(image, **WORDS, force=True)


def test_grey_and_opaque_pictures_are_rgb(editor: Editor) -> None:
    grey = photo(64, 64)[..., 0]
    rgb = np.repeat(grey[..., None], 3, axis=2)
    opaque = np.concatenate([rgb, np.full((64, 64, 1), 255, np.uint8)], axis=2)
    found = [editor(one, **WORDS, boxes=[(0, 0, 32, 32)]) for one in (rgb, grey, opaque)]
    assert all(np.array_equal(pixels(one), pixels(found[0])) for one in found)


def test_what_is_not_here_is_one_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown profile 'picturebok'; did you mean 'picturebook'"):
        Editor.from_profile("picturebok")
    with pytest.raises(UserError, match="device 'gpu' cannot be used"):
        Editor.from_profile("picturebook", root=home, device="gpu")
    with pytest.raises(UserError, match="device 'meta' cannot be used"):
        Editor.from_profile("picturebook", root=home, device="meta")
    with pytest.raises(UserError, match=r"give torch\.float16"):
        Editor.from_profile("picturebook", root=home, dtype=torch.int8)
    with pytest.raises(UserError, match=r"^nope\.yaml is missing: name a study's params\.yaml$"):
        Editor.from_profile("picturebook", study="nope.yaml")
    with pytest.raises(UserError, match="nowhere is no folder"):
        Editor.from_profile("picturebook", root=tmp_path / "nowhere")


def test_the_package_offers_few_names_and_each_is_there() -> None:
    assert set(lr_edit.__all__) == {name for name in dir(lr_edit) if not name.startswith("_")}
    assert len(lr_edit.__all__) <= 12
    for name in lr_edit.__all__:
        assert getattr(lr_edit, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Edit'"):
        lr_edit.Edit  # noqa: B018


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## From Python")[2]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example, "README.md has no example under From Python"
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example.group(1), names)
    result = names["result"]
    assert result.image.size == (64, 64) and result.nfe <= 200
    with Image.open(tmp_path / "edit.png") as written:
        assert np.array_equal(np.asarray(written), pixels(result))
