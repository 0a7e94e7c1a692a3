"""What `lr-edit score` and `lr-edit evaluate` refuse, in one sentence each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lr_edit.types import Box, EditTask, Label, Truth
from lr_edit.workspace.storage import write_image, write_tasks
from tests.eval.picture_folder import picture, pictures, run

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, *words: str | Path) -> str:
    """What stderr says when the user is to mend it: one sentence, nothing on stdout."""
    assert run(*words) == 2
    streams = capsys.readouterr()
    assert "Traceback" not in streams.err and not streams.out
    return streams.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["score", "none.png", "in/0.png"], "none.png is missing"),
        (["score", "list.csv", "in/0.png"], "cannot be read"),
        (["score", "in/0.png", "in/0.png", "--metrics", "msa"], "did you mean 'mse'"),
        (["score", "in/0.png", "in/0.png", "--metrics", "background_mse"], "needs --mask"),
        (["score", "in/0.png", "in/0.png", "--metrics", "clip_whole"], "needs --prompt"),
        (["score", "in/0.png", "in/0.png", "--metrics", "structure"], "timm.create_model"),
        (["score", "in/0.png", "in/0.png", "--clip", "ViT-B-32", "--metrics", "clip_i"], "the tag"),
        (["score", "in/0.png", "in/0.png", "--clip", "local-dir:/none", "--metrics", "clip_i"],
         "name a folder that holds them"),
        (["score", "in/0.png", "in/0.png", "--perceptual", "local-dir:.", "--metrics",
          "whole_lpips"], "name a folder that holds them"),
        (["score", "in/0.png", "in/0.png", "--clip", "nope:openai", "--metrics", "clip_i"],
         "there is no model 'nope'"),
        (["score", "in/0.png", "in/0.png", "--clip", "ViT-B-32:open", "--metrics", "clip_i"],
         "ViT-B-32 has no weights 'open'; did you mean 'openai'?"),
        (["score", "in/0.png", "in/0.png", "--dino", "vit_small_patch16_224.nope", "--metrics",
          "dino_i"], "did you mean 'vit_small_patch16_224.dino'?"),
        (["score", "in/0.png", "in/0.png", "--dino", "x", "--metrics", "mse"],
         "--dino names a network that no metric here uses"),
        (["evaluate", "--dataset", "csv:list.csv", "--edits", "edits", "--metrics", "mse",
          "--judge-url", "http://127.0.0.1:1", "--judge-model", "x", "--judge-temperature", "nan"],
         "'nan' is no number"),
        (["score", "in/0.png", "in/0.png", "--mask", "in/0.png"], "coloured"),
        (["score", "in/0.png", "in/0.png", "--mask", "small.png"], "4x4 but the images are 31x20"),
        (["score", "in/0.png", "other.png"], "nothing is resized"),
        (["score", "in/0.png", "in/0.png", "--protocol", "lenient"], "lenient"),
        (["score", "in/0.png", "in/0.png", "--perceptual", "alec", "--metrics", "whole_lpips"],
         "did you mean 'alex'"),
        (["evaluate", "--dataset", "csv:none", "--edits", "edits"], "none is not there"),
        (["evaluate", "--dataset", "csv:list.csv", "--edits", "none"], "not a folder"),
        (["evaluate", "--dataset", "csv:list.csv", "--edits", "other", "--metrics", "mse"],
         "0.png is 4x4 but its source is 31x20"),
        (["evaluate", "--dataset", "csv:list.csv", "--edits", "empty", "--metrics", "mse"],
         "holds no edit"),
        (["evaluate", "--dataset", "csv:list.csv", "--edits", "edits", "--out", "list.csv",
          "--metrics", "mse"], "choose another --out"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_one_sentence(
    home: Path, capsys: Captured, words: list[str], said: str
) -> None:
    pictures(home)
    (home / "empty").mkdir()
    write_image(home / "other.png", picture(1, height=21))
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(home / "small.png")
    write_image(home / "other/0.png", picture(1, height=4, width=4))
    assert said in refused(capsys, *words)


@pytest.mark.parametrize("whose", ["box", "bystanders"])
@pytest.mark.parametrize("words", [["--check"], ["--metrics", "mse"]])
def test_a_true_box_outside_its_picture_is_refused_as_prepare_does(
    home: Path, capsys: Captured, words: list[str], whose: str
) -> None:
    write_image(home / "data/a.png", picture(1, height=64, width=64))
    write_image(home / "edits/a.png", picture(2, height=64, width=64))
    inside, outside = Box(0, 0, 8, 8), Box(100, 100, 120, 120)
    truth = Truth(outside, None) if whose == "box" else Truth(
        inside, None, ((Label("cup", "red"), outside),)
    )  # fmt: skip
    task = EditTask("a", Path("a.png"), "x", "y", truth=truth)
    write_tasks(home / "data/tasks.json", [task])
    assert run("evaluate", "--dataset", "tasks:data", "--edits", "edits", *words) == 2
    streams = capsys.readouterr()
    assert f"task 'a': its {outside} leaves the image of 64x64" in streams.out + streams.err
