"""`lr-edit data add`: a table, or one photo, becomes a study's tasks; nothing is overwritten."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lr_edit.types import Box
from lr_edit.workspace.storage import find_tasks
from tests.source_tree import ROOT
from tests.tiny import run

Captured = pytest.CaptureFixture[str]
WORDS = ["--source", "a red boat", "--prompt", "a blue fish"]


@pytest.fixture
def photos(root: Path) -> Path:
    """Two photos of 96x64 pixels, and no more."""
    folder = root / "photos"
    folder.mkdir()
    for name in ("boat", "my dog"):
        Image.effect_noise((96, 64), 40).save(folder / f"{name}.png")
    return folder


def write_mask(path: Path, *, size: tuple[int, int] = (96, 64)) -> None:
    mask = np.zeros(size[::-1], np.uint8)
    mask[8:32, 16:48] = 255
    Image.fromarray(mask).save(path)


def add(root: Path, photos: Path, *words: str) -> int:
    return run(root, "data", "add", str(photos), "--profile", "sd2", *words)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_table_becomes_tasks_and_again_adds_nothing(
    root: Path, photos: Path, capsys: Captured
) -> None:
    write_mask(photos / "mask.png")
    (photos / "edits.csv").write_text(
        "\ufeffimage,source,prompt,mask,box\n"
        'boat.png,a boat,"a swan, white",mask.png,\n'
        "boat.png,a boat,a duck,,\"0,0,96,64\"\n"
        "my dog.png,a dog,a fox,,\n",
        encoding="utf-8",
    )  # fmt: skip
    before = files(photos)
    assert add(root, photos) == 0 and "3 added" in capsys.readouterr().out
    tasks = find_tasks(photos)
    assert [task.id for task in tasks] == ["boat", "boat-2", "my-dog"]
    places = [task.truth and task.truth.box for task in tasks]
    assert places == [Box(16, 8, 48, 32), Box(0, 0, 96, 64), None]
    after = files(photos)
    written = after.pop("tasks.json")
    assert after == before
    assert add(root, photos) == 0 and "3 there already" in capsys.readouterr().out
    assert (photos / "tasks.json").read_bytes() == written


def test_all_that_is_wrong_with_a_table_is_said_at_once_with_its_line(
    root: Path, photos: Path, capsys: Captured
) -> None:
    write_mask(photos / "small.png", size=(40, 40))
    Image.new("L", (96, 64)).save(photos / "black.png")
    (photos / "broken.png").write_text("no picture")
    wrong = [
        ("boat.png,,a swan,,", "the source is empty"),
        ("none.png,a boat,a swan,,", "none.png"),
        ("../data/images/eval-000.png,a boat,a swan,,", "leaves photos/"),
        ("broken.png,a boat,a swan,,", "cannot be read"),
        ("boat.png,a boat,a swan,small.png,", "40x40 and 96x64"),
        ("boat.png,a boat,a goose,black.png,", "all black"),
        ("boat.png,a boat,a duck,,0 0 97 64", "leaves boat.png"),
        ("boat.png,a boat,a hen,,1 2 3", "left < right"),
        ("boat.png,a boat,a cow, white,,", "6 cells under 5 columns"),
        ("./boat.png,a boat,a swan,small.png,", "the same edit as line 6"),
    ]
    lines = ["image,source,prompt,mask,box", *(line for line, _ in wrong)]
    (photos / "edits.csv").write_text("\n".join(lines))
    before = files(photos)
    assert add(root, photos) == 2
    said = capsys.readouterr().err.splitlines()
    assert f"{len(wrong)} problems, so nothing was written" in said[0]
    for number, (_, words) in enumerate(wrong, 2):
        (line,) = [one for one in said if one.startswith(f"  line {number}: ")]
        assert words in line
    assert files(photos) == before


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "is empty"),
        ('{"image":"boat.png","source":"a","prompt":"b"}\n', "is no CSV"),
        ("image,source,prompt\n", "no line below its first"),
        ("image,prompt\nboat.png,a swan\n", "lacks the column source"),
        ("image,source,prompt,maks\n", "did you mean 'mask'"),
        ("image;source;prompt\nboat.png;a boat;\n", "the prompt is empty"),
        ('image,source,prompt\nboat.png,"a boat,a swan\n', "close its quotes"),
    ],
)
def test_what_is_no_table_of_edits_is_one_sentence(
    root: Path, photos: Path, capsys: Captured, table: str, said: str
) -> None:
    (photos / "edits.csv").write_text(table)
    assert add(root, photos) == 2
    streams = capsys.readouterr()
    assert said in streams.err and not streams.out and not (photos / "tasks.json").exists()


def test_one_photo_is_added_by_its_words_and_another_edit_of_it_beside_the_first(
    root: Path, photos: Path, capsys: Captured
) -> None:
    photo = photos / "boat.png"
    assert add(root, photo, *WORDS, "--box", "8,8,40,40") == 0
    assert add(root, photo, *WORDS, "--box", "8,8,40,40") == 0
    assert "1 there already" in capsys.readouterr().out
    assert add(root, photo, "--source", "a boat", "--prompt", "a swan") == 0
    assert [task.id for task in find_tasks(photos)] == ["boat", "boat-2"]
    assert add(root, photo) == 2 and "--source and --prompt" in capsys.readouterr().err
    for empty in ("", "  "):
        assert add(root, photo, "--source", "a boat", "--prompt", empty) == 2
        assert "the prompt is empty: write one" in capsys.readouterr().err
    assert add(root, photo, *WORDS, "--table", "edits.csv") == 2
    assert "is no folder: name that of the photos, or leave out --table" in capsys.readouterr().err
    assert add(root, photos, *WORDS) == 2 and "is a folder" in capsys.readouterr().err


def test_words_that_are_there_are_replaced_only_where_that_is_said(
    root: Path, photos: Path, capsys: Captured
) -> None:
    table = photos / "edits.csv"
    table.write_text("image,source,prompt\nboat.png,a boat,a swan\n")
    assert add(root, photos) == 0
    kept = (photos / "tasks.json").read_bytes()
    table.write_text("image,source,prompt\nboat.png,a boat,a duck\n")
    assert add(root, photos) == 2
    assert "line 2: task 'boat' is there already" in capsys.readouterr().err
    assert (photos / "tasks.json").read_bytes() == kept
    assert add(root, photos, "--overwrite") == 0
    assert [task.prompt for task in find_tasks(photos)] == ["a duck"]


@pytest.mark.parametrize("name", ["tasks.json", "images.json"])
def test_a_list_that_names_other_places_or_is_a_photo_is_refused_and_writes_nothing(
    root: Path, photos: Path, capsys: Captured, name: str
) -> None:
    rows: dict[str, Any] = {
        "tasks.json": [{"id": "../boat", "image": "boat.png", "source": "a", "prompt": "b"}],
        "images.json": {"../data/images/eval-000.png": ["a", "b"]},
    }
    (photos / name).write_text(json.dumps(rows[name]))
    before = files(photos)
    assert add(root, photos / "boat.png", *WORDS) == 2 and files(photos) == before
    (photos / name).unlink()
    (photos / name).symlink_to(photos / "boat.png")
    assert add(root, photos / "my dog.png", *WORDS) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert (photos / "boat.png").read_bytes() == before["boat.png"]


def test_photos_are_refused_for_picture_book_weights_unless_forced(
    root: Path, photos: Path, capsys: Captured
) -> None:
    (photos / "edits.csv").write_text(
        "image,source,prompt\nboat.png,a boat,a swan\nmy dog.png,a dog,a fox\n"
    )
    words = ["data", "add", str(photos)]
    assert run(root, *words) == 2
    said = capsys.readouterr().err
    assert "boat.png is 96x64" in said and "nor do they know " in said and "--profile sd2" in said
    assert run(root, *words, "--force") == 0 and len(find_tasks(photos)) == 2


@pytest.mark.long
def test_changing_one_photo_inpaints_that_one_alone(tiny_root: Path) -> None:
    """`make repro DATA=photos/` names the study after the folder, which must not hide it."""
    (tiny_root / "lr_edit/stages").mkdir(parents=True)
    for name in ("dvc.yaml", "lr_edit/stages/extra.yaml"):
        (tiny_root / name).write_text((ROOT / name).read_text())
    photos = tiny_root / "photos"
    photos.mkdir()
    for name, shade in (("one", 40), ("two", 90)):
        Image.effect_noise((96, 64), shade).save(photos / f"{name}.png")
        assert run(tiny_root, "data", "add", str(photos / f"{name}.png"), *WORDS, "--force") == 0
    assert run(tiny_root, "study", "photos", "--data", str(photos)) == 0
    study = tiny_root / "studies/photos"

    def inpaint() -> int:
        """How many tasks are inpainted anew."""
        before = len(list((tiny_root.parent / "cache/candidates").glob("*.json")))
        for words in (["prepare"], ["candidates", "--proposals", "dino"]):
            assert run(study, "stage", *words) == 0
        return len(list((tiny_root.parent / "cache/candidates").glob("*.json"))) - before

    assert inpaint() == 2
    Image.effect_noise((96, 64), 120).save(photos / "two.png")
    assert inpaint() == 1


def test_a_broken_list_is_blamed_itself_and_a_link_stays_one(
    root: Path, photos: Path, capsys: Captured
) -> None:
    (photos / "edits.csv").write_text("image,source,prompt\nboat.png,a boat,a swan\n")
    (photos / "real.json").write_text("{")
    (photos / "tasks.json").symlink_to("real.json")
    assert add(root, photos) == 2
    said = capsys.readouterr().err
    assert "tasks.json is not valid JSON" in said and "edits.csv" not in said
    (photos / "real.json").write_text("[]")
    assert add(root, photos) == 0
    assert (photos / "tasks.json").is_symlink() and "swan" in (photos / "real.json").read_text()


def test_an_image_that_is_missing_is_said_beside_words_that_are(
    root: Path, photos: Path, capsys: Captured
) -> None:
    (photos / "edits.csv").write_text("image,source,prompt\nnope.png,,b\n")
    assert add(root, photos) == 2
    said = capsys.readouterr().err
    assert "the source is empty" in said and "nope.png is missing" in said


@pytest.mark.parametrize(("disk", "table"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_table_and_a_disk_may_write_an_accent_differently(
    root: Path, photos: Path, capsys: Captured, disk: Any, table: Any
) -> None:
    there, written = (unicodedata.normalize(form, "\u00e9t\u00e9") for form in (disk, table))
    (photos / there).mkdir()
    (photos / "boat.png").rename(photos / there / f"{there}.png")
    write_mask(photos / there / f"{there}-mask.png")
    (photos / "edits.csv").write_text(
        "image,source,prompt,mask\n"
        f"{written}/{written}.png,a boat,a swan,{written}/{written}-mask.png\n",
        encoding="utf-8",
    )
    assert add(root, photos) == 0
    (task,) = find_tasks(photos)
    assert task.image.as_posix() == f"{there}/{there}.png" and task.truth is not None
    assert (photos / task.image).is_file()
    assert add(root, photos / there / f"{written}.png", *WORDS) == 0
    with (photos / "edits.csv").open("a", encoding="utf-8") as file:
        file.write(f"{there}/{there}.png,a boat,a swan,{there}/{there}-mask.png\n")
    assert add(root, photos) == 2 and "the same edit as line 2" in capsys.readouterr().err
