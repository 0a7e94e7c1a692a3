"""Edits that are no plain pictures: each is said, none stops the table or is waited for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.external import measuring
from tests.eval.picture_folder import pictures, run

Captured = pytest.CaptureFixture[str]
LONG = "a red boat and a blue fish and a green cup " * 9 + "on snow"


def evaluate(home: Path, *words: str | Path) -> int:
    return run("evaluate", "--dataset", f"csv:{home}", "--edits", home / "edits", *words)


def make_link(path: Path) -> None:
    path.symlink_to("nowhere.png")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [make_link, make_loop, os.mkfifo])
def test_what_is_no_file_is_one_missing_edit(home: Path, capsys: Captured, make: object) -> None:
    pictures(home)
    odd = home / "edits/in/1.png"
    odd.unlink()
    assert callable(make)
    make(odd)
    for again in range(2):
        assert evaluate(home, "--metrics", "mse,change", "--json") == 0, again
        streams = capsys.readouterr()
        found = json.loads(streams.out)
        assert found["missing"] == {"edits": ["in/1"]}
        assert found["variants"]["edits"]["whole_mse"]["n"] == 2
        assert streams.err.count(str(odd)) == 1 and "1 of 3 edits cannot" in streams.err
    assert evaluate(home, "--check", "--json") == 2
    assert list(json.loads(capsys.readouterr().out)["edits"]["problems"]) == ["in/1"]


def test_transparency_is_said_once_an_edit_and_of_many_counted(
    home: Path, capsys: Captured
) -> None:
    pictures(home, count=9)
    for path in (home / "edits/in").iterdir():
        with Image.open(path) as one:
            shown = one.convert("RGBA")
        shown.putalpha(128)
        shown.save(path)
    assert evaluate(home, "--metrics", "mse") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "transparent" in line]
    assert len(said) == 6 and said[-1].startswith("lr-edit: 4 more")


def test_words_that_clip_does_not_read_are_said(
    home: Path, tiny_models: Path, capsys: Captured
) -> None:
    pictures(home)
    Image.fromarray(np.zeros((20, 31, 3), np.uint8)).save(home / "b.png")
    clip = ["--metrics", "clip_whole", "--clip", f"local-dir:{tiny_models}/evaluation-clip"]
    assert run("score", "in/0.png", "b.png", "--prompt", LONG, *clip) == 0
    assert "--prompt is longer than the models read" in capsys.readouterr().err
    table = (home / "list.csv").read_text().replace("a dog", LONG)
    (home / "list.csv").write_text(table)
    assert evaluate(home, *clip) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "longer than" in line]
    assert len(said) == 1 and "the prompt of task 'in/0'" in said[0] and "2 more texts" in said[0]
    assert "on snow" in said[0]


@pytest.mark.long
def test_many_cores_give_the_same_table_and_say_the_same(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(home, count=5)
    (home / "edits/in/3.png").write_bytes(b"no picture")
    with Image.open(home / "edits/in/4.png") as one:
        clear = one.convert("RGBA")
    clear.putalpha(200)
    clear.save(home / "edits/in/4.png")
    texts = []
    for out in ("one", "many"):
        capsys.readouterr()
        assert evaluate(home, "--out", home / out, "--metrics", "mse,change") == 0
        said = capsys.readouterr().err.replace(str(home / out), "").splitlines()
        texts.append(sorted(line for line in said if "%" not in line))
        monkeypatch.setattr(measuring, "MANY", 1)
        monkeypatch.setattr(measuring, "cores", lambda: 2)
    assert texts[0] == texts[1] and any("transparent" in line for line in texts[0])
    for name in ("per_image.csv", "evaluation.json", "table.md", "journal.jsonl", "index.html"):
        assert (home / "one" / name).read_bytes() == (home / "many" / name).read_bytes()
    assert sorted(path.name for path in (home / "one/gallery").iterdir()) == sorted(
        path.name for path in (home / "many/gallery").iterdir()
    )
