"""The command line's results: on stdout, for a person or as JSON; warnings go to stderr."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from lr_edit.workspace.storage import read_image
from tests.tiny import run, tiny_params, write_params

Captured = pytest.CaptureFixture[str]


def edit(image: Path) -> list[str]:
    return ["edit", str(image), "--source", "a red boat", "--prompt", "a blue fish"]


def test_where_names_the_results(root: Path, capsys: Captured) -> None:
    assert run(root, "where") == 0
    out = capsys.readouterr().out
    assert "results.json" in out and "contact_sheet.png" in out and "make ui" in out


def test_models_list_says_what_is_there(tiny_root: Path, capsys: Captured) -> None:
    assert run(tiny_root, "models", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    bundled = [row for row in rows if row["profile"] == "picturebook"]
    full_size = [row for row in rows if row["profile"] == "sd2"]
    assert len(bundled) == 8 and all(row["present"] for row in bundled)
    assert len(full_size) == 7 and not any(row["present"] for row in full_size)
    assert run(tiny_root, "models", "list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def test_doctor_finds_versions_weights_and_the_store(root: Path, capsys: Captured) -> None:
    assert run(root, "doctor", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["root"] == str(root) and "torch" in found["versions"]
    assert not any(row["present"] for row in found["weights"])
    assert found["store"].startswith("none")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ../dvcstore\n"
    )
    assert run(root, "doctor", "--json") == 0
    assert "missing" in json.loads(capsys.readouterr().out)["store"]
    (root / "dvcstore").mkdir()
    assert run(root, "doctor") == 0
    out = capsys.readouterr().out
    assert "reachable" in out and "missing: dvc pull" in out


@pytest.mark.parametrize(
    ("words", "mode", "plan", "each"),
    [
        ([], "race", [4, 4], 1 + 4),
        (["--budget", "16"], "race", [4, 3], None),
        (["--mode", "enumerate"], "enumerate", [4], 4),
    ],
)
def test_one_image_is_edited_from_its_words(
    tiny_root: Path,
    capsys: Captured,
    words: list[str],
    mode: str,
    plan: list[int],
    each: int | None,
) -> None:
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image), *words, "--json") == 0
    streams = capsys.readouterr()
    result = json.loads(streams.out)
    assert (result["mode"], result["plan"]) == (mode, plan)
    assert ("previews of 4 boxes" in streams.err) == (mode == "race")
    assert Path(result["output"]) == image.with_suffix(".edit.png")
    before, after = read_image(image), read_image(image.with_suffix(".edit.png"))
    left, top, right, bottom = result["box"]
    changed = (before != after).any(2)
    assert changed[top:bottom, left:right].any()
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert result["candidates"] == plan[-1]
    assert result["nfe"] == (4 * each if each else 16)
    assert 0 < result["score"] < 3


def test_a_stage_of_small_models_uses_one_thread(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name)
    assert run(tiny_root, "stage", "prepare") == 0
    assert [os.environ[name] for name in names] == ["1", "1"]


def test_an_edit_may_be_ranked_by_its_loss(tiny_root: Path, capsys: Captured) -> None:
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image), "--rank", "loss", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["loss"] < 5 and "score" not in result


def test_an_amortised_edit_paints_the_likeliest_boxes_alone(
    tiny_root: Path, capsys: Captured
) -> None:
    params = tiny_params()
    params["profiles"]["picturebook"]["anchor_net"] = {"name": "local-dir:artifacts/anchor-net"}
    params["dataset_net"] |= {"tasks": [2], "seeds": 2, "steps": 2}
    write_params(tiny_root, params)
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image), "--mode", "amortised") == 2
    assert "make study STUDY=train" in capsys.readouterr().err
    for words in (["stage", "prepare"], ["stage", "candidates", "--proposals", "dino"]):
        assert run(tiny_root, *words) == 0
    assert run(tiny_root, "stage", "amortise") == 0
    capsys.readouterr()
    for budget, plan, nfe in ((30, [3], 12), (9, [2], 8)):
        words = ["--mode", "amortised", "--budget", str(budget), "--json"]
        assert run(tiny_root, *edit(image), *words) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result["mode"], result["plan"]) == ("amortised", plan)
        assert result["nfe"] == nfe


def test_a_photo_is_warned_about(tiny_root: Path, capsys: Captured, tmp_path: Path) -> None:
    Image.effect_noise((90, 60), 40).save(tmp_path / "photo.jpg")
    output = tmp_path / "edited.png"
    assert run(tiny_root, *edit(tmp_path / "photo.jpg"), "--output", str(output)) == 0
    streams = capsys.readouterr()
    assert "is no 64x64 drawing" in streams.err and str(output) in streams.out
    assert read_image(output).shape == (60, 90, 3)


def test_pictures_are_drawn_where_they_are_asked_for(
    root: Path, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lr_edit.picturebook.tasks.COUNTS", {"eval": {"replace": 2}})
    assert run(root, "picturebook", "draw", "--out", str(tmp_path / "drawn")) == 0
    assert capsys.readouterr().out.startswith("2 tasks in ")
    assert len(list((tmp_path / "drawn/images").iterdir())) == 2


def test_picturebook_status_parses(root: Path, capsys: Captured) -> None:
    assert run(root, "picturebook", "status", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["steps"] for row in rows} == {0} and not any(row["exported"] for row in rows)
