"""Public benchmarks as tasks and masks: what is read, what is missing, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.external.datasets import Dataset, open_dataset
from eval.external.mask_files import read_mask
from eval.metrics import pie_bench
from lr_edit.errors import UserError
from lr_edit.types import Box, EditTask, Label, Truth
from lr_edit.workspace.storage import write_tasks

PIE: dict[str, Any] = {
    "000000000000": {
        "image_path": "0_random_140/000000000000.jpg",
        "original_prompt": "a [round] cake on a table",
        "editing_prompt": "a [square] cake on a table",
        "editing_instruction": "make it square",
        "editing_type_id": "0",
        "blended_word": "round square",
        "mask": [0, 9, 512 * 300, 99999999],
    },
    "112000000001": {
        "image_path": "1_change_object_80/112000000001.jpg",
        "original_prompt": "a cat",
        "editing_prompt": "a dog",
        "editing_type_id": "6",
        "blended_word": "",
    },
}
SIZE = (512, 512)


def pie(folder: Path, rows: Any = PIE) -> Dataset:
    (folder / "annotation_images").mkdir(exist_ok=True)
    (folder / "mapping_file.json").write_text(json.dumps(rows))
    return open_dataset(f"pie-bench:{folder}")


def test_pie_bench_rows_become_tasks(tmp_path: Path) -> None:
    dataset = pie(tmp_path)
    first, second = dataset.tasks
    assert first.prompt == "a square cake on a table" and first.source == "round"
    assert first.caption == "a round cake on a table" and first.category == "random"
    assert dataset.samples[0].image == (
        tmp_path / "annotation_images/0_random_140/000000000000.jpg"
    )
    assert (second.source, second.category) == ("a cat", "change colour")


def test_pie_bench_masks_have_a_ring_under_their_own_protocol_alone(tmp_path: Path) -> None:
    dataset = pie(tmp_path)
    first = dataset.tasks[0]
    strict = dataset.samples[0].read_mask(SIZE)
    add_ring = dataset.samples[0].read_mask(SIZE, protocol="pie-bench")
    assert strict is not None and add_ring is not None
    want = np.zeros(SIZE, bool)
    want[0, :9] = want[300:] = True
    assert (strict == want).all()
    assert (add_ring == pie_bench.decode_mask(PIE[first.id]["mask"])).all()
    assert add_ring.sum() > strict.sum()
    assert dataset.samples[1].read_mask(SIZE) is None  # missing, not empty
    with pytest.raises(UserError, match="512x512 but its image is 64x32"):
        dataset.samples[0].read_mask((32, 64))


def test_the_released_list_and_our_own_become_tasks(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text('{"1.png": ["trees", "a big tree with fruit"]}')
    dataset = open_dataset(f"released:{tmp_path}")
    (task,) = dataset.tasks
    assert (task.id, task.source, task.prompt) == ("1", "trees", "a big tree with fruit")
    assert dataset.samples[0].read_mask((8, 8)) is None
    truth = Truth(Box(1, 2, 4, 3), Label("ball", "red"))
    write_tasks(tmp_path / "tasks.json", [EditTask("a", Path("a.png"), "x", "y", truth=truth)])
    dataset = open_dataset(f"tasks:{tmp_path}")
    mask = dataset.samples[0].read_mask((8, 8))
    assert mask is not None and mask.nonzero()[0].tolist() == [2, 2, 2]


def test_a_folder_with_one_csv_becomes_tasks(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "image,prompt,caption,mask\nin/a.png,a dog,a cat,m/a.png\nin/b.png,a fox,,\n"
    )
    (tmp_path / "m").mkdir()
    Image.fromarray(np.eye(4, dtype=np.uint8) * 255).save(tmp_path / "m/a.png")
    dataset = open_dataset(f"csv:{tmp_path}")
    first, second = dataset.tasks
    assert (first.id, first.caption, second.caption) == ("in/a", "a cat", None)
    mask = dataset.samples[0].read_mask((4, 4))
    assert mask is not None and (mask == np.eye(4, dtype=bool)).all()
    assert dataset.samples[1].read_mask((4, 4)) is None


def magicbrush(folder: Path, *, turns: int = 3) -> None:
    """Session 7 of some turns: 7-input, then every target the next turn's source."""
    images = folder / "images/7"
    images.mkdir(parents=True)
    names = ["7-input.png", *(f"7-output{n}.png" for n in range(1, turns + 1))]
    rows = [
        {"input": names[n], "mask": f"7-mask{n + 1}.png", "output": names[n + 1],
         "instruction": f"add hat {n + 1}"}
        for n in range(turns)
    ]  # fmt: skip
    (folder / "edit_turns.json").write_text(json.dumps(rows))
    for name in names:
        Image.new("RGB", (5, 3)).save(images / name)
    pixels = np.full((3, 5, 4), 255, np.uint8)
    pixels[1, 2] = 0
    for n in range(1, turns + 1):
        Image.fromarray(pixels).save(images / f"7-mask{n}.png")


def test_magicbrush_turns_become_tasks_and_their_cut_outs_masks(tmp_path: Path) -> None:
    magicbrush(tmp_path)
    dataset = open_dataset(f"magicbrush:{tmp_path}")
    assert [task.id for task in dataset.tasks] == ["7_1", "7_inde_2", "7_inde_3"]
    first, second, _ = dataset.samples
    assert (first.instruction, first.task.prompt) == ("add hat 1", "")
    assert second.image == first.target == tmp_path / "images/7/7-output1.png"
    mask = first.read_mask((3, 5))
    assert mask is not None and mask.nonzero() == (np.array([1]), np.array([2]))
    far = {"7": {"7-input.png": "a cat", "7-output1.png": "far", "7-output2.png": "far"}}
    (tmp_path / "global_descriptions.json").write_text(json.dumps(far))
    near = {"7": {"7-output1.png": "a cat with a hat"}}
    (tmp_path / "local_captions.json").write_text(json.dumps(near))
    one, two, three = open_dataset(f"magicbrush:{tmp_path}").tasks
    assert (one.caption, one.prompt) == ("a cat", "a cat with a hat")
    assert (two.prompt, three.prompt) == ("far", "")


def test_the_final_turn_is_made_from_the_editors_own_edits(tmp_path: Path) -> None:
    magicbrush(tmp_path / "long")
    (sample,) = open_dataset(f"magicbrush-final:{tmp_path / 'long'}").samples
    folder = tmp_path / "long/images/7"
    assert sample.task.id == "7_iter_3" and sample.mask is None
    assert (sample.image, sample.target) == (folder / "7-input.png", folder / "7-output3.png")
    magicbrush(tmp_path / "short", turns=1)
    (sample,) = open_dataset(f"magicbrush-final:{tmp_path / 'short'}").samples
    assert sample.task.id == "7_1" and sample.mask is not None


def test_tedbench_images_may_have_many_texts(tmp_path: Path) -> None:
    rows = [{"img_name": "cat.jpeg", "target_text": text} for text in ("A cat.", "A fat cat.")]
    (tmp_path / "input_list.json").write_text(json.dumps(rows))
    names = [task.id for task in open_dataset(f"tedbench:{tmp_path}").tasks]
    assert names == ["cat-a-cat", "cat-a-fat-cat"]


def test_texts_of_every_script_have_names_of_their_own(tmp_path: Path) -> None:
    texts = ("一只坐着的猫", "一只睡觉的猫", "सोती बिल्ली", "!", "?", "A cat!", "A cat?")
    rows = [{"img_name": "cat.jpeg", "target_text": text} for text in texts]
    (tmp_path / "input_list.json").write_text(json.dumps(rows))
    names = [task.id for task in open_dataset(f"tedbench:{tmp_path}").tasks]
    assert len(set(names)) == len(texts)
    assert names[:3] == ["cat-一只坐着的猫", "cat-一只睡觉的猫", "cat-सोती-बिल्ली"]


@pytest.mark.parametrize("name", ["../secret/secret", "/etc/passwd", "a/b", "..", "a\\b", "a\n"])
def test_an_id_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"is a path|control characters"):
        pie(tmp_path, {name: PIE["000000000000"]})
    text = f'image,prompt,id\na.png,x,"{name}"\n'
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=r"is a path|runs over the end"):
        open_dataset(f"csv:{tmp_path}")


def changed(**values: Any) -> dict[str, Any]:
    return {"a": {**PIE["000000000000"], **values}}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (changed(image_path="../../secret.png"), "leaves annotation_images/"),
        (changed(editing_prompt=" "), "no 'editing_prompt'"),
        (changed(mask=["1", 2]), "whole numbers"),
        ([1], "map names"),
        ({}, "no task"),
    ],
)
def test_a_broken_list_is_one_sentence(tmp_path: Path, rows: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        pie(tmp_path, rows)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("piebench:here", "did you mean 'pie-bench'"),
        ("pie-bench", "KIND:PATH"),
        ("csv:nowhere", "is not there"),
        ("csv:.", "holds 0 CSV files"),
        ("tedbench:.", "holds no input_list.json"),
    ],
)
def test_a_dataset_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        open_dataset(spec)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,promt\na.png,x\n", "unknown column 'promt'; did you mean 'prompt'"),
        ("image\na.png\n", "line 2 has no 'prompt'"),
        ("image,prompt\n/etc/a.png,x\n", "leaves"),
        ("image,prompt\na.png,x\na.png,y\n", "more than once"),
    ],
)
def test_a_broken_csv_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        open_dataset(f"csv:{tmp_path / 'list.csv'}")


def test_runs_that_leave_the_frame_name_their_task(tmp_path: Path) -> None:
    dataset = pie(tmp_path, changed(mask=[512 * 512 + 1, 2]))
    with pytest.raises(UserError, match="task 'a'"):
        dataset.samples[0].read_mask(SIZE)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA"])
def test_a_mask_file_is_black_and_white_in_any_mode(tmp_path: Path, mode: str) -> None:
    Image.fromarray(np.eye(5, dtype=np.uint8) * 255).convert(mode).save(tmp_path / "m.png")
    assert (read_mask(tmp_path / "m.png") == np.eye(5, dtype=bool)).all()


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((4, 4), 128, np.uint8), "nothing between"),
        (np.array([[[255, 0, 0]]], np.uint8), "coloured"),
        (np.array([[[255, 255, 255, 0]]], np.uint8), "transparent"),
    ],
)
def test_another_mask_is_refused(tmp_path: Path, pixels: np.ndarray, said: str) -> None:
    Image.fromarray(pixels).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=said):
        read_mask(tmp_path / "m.png")


def test_a_mask_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_text("no image")
    with pytest.raises(UserError, match=r"m\.png cannot be read"):
        read_mask(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"none\.png is missing"):
        read_mask(tmp_path / "none.png")


def test_a_mask_is_turned_as_its_picture_is(tmp_path: Path) -> None:
    values = np.zeros((4, 6), np.uint8)
    values[0] = 255
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise by a quarter
    Image.fromarray(values).save(tmp_path / "m.png", exif=exif)
    mask = read_mask(tmp_path / "m.png")
    assert mask.shape == (6, 4) and mask[:, -1].all() and mask.sum() == 6
