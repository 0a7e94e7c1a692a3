"""`lr-edit edit`: what is written and printed, and what is refused before a model is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lr_edit.workspace.storage import read_image
from tests.source_tree import ROOT
from tests.tiny import run, tiny_params, write_params

Captured = pytest.CaptureFixture[str]
WORDS = ["--source", "a red boat", "--prompt", "a blue fish"]
AMORTISED = ["--mode", "amortised"]


def edit(*images: Path | str) -> list[str]:
    return ["edit", *map(str, images), *WORDS]


@pytest.fixture
def image(root: Path) -> Path:
    """A drawing of a checkout without models: whatever comes to load one fails."""
    return root / "data/images/eval-000.png"


def refused(capsys: Captured, root: Path, *words: str) -> str:
    assert run(root, *words) == 2
    streams = capsys.readouterr()
    assert not streams.out and "Traceback" not in streams.err
    return streams.err


@pytest.mark.parametrize(
    ("words", "mode", "count", "nfe"),
    [
        ([], "detected", 4, 4 * 1 + 4 * 4),  # this study has no such sets: it is raced for
        (["--mode", "race", "--budget", "16"], "race", 3, 4 * 1 + 3 * 4),
        (["--mode", "enumerate"], "enumerate", 4, 4 * 4),
        (["--mode", "paper"], "paper", 4, 4 * 4),
        (["--box", "8,8,40,40", "--box", "0,0,20,64"], "enumerate", 2, 2 * 4),
    ],
)
def test_one_image_is_edited_from_its_words(
    tiny_root: Path, capsys: Captured, words: list[str], mode: str, count: int, nfe: int
) -> None:
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image), *words, "--json") == 0
    streams = capsys.readouterr()
    result = json.loads(streams.out)
    assert (result["mode"], len(result["candidates"]), result["nfe"]) == (mode, count, nfe)
    assert ("previews of 4 boxes" in streams.err) == (
        mode in ("race", "detected") and "--box" not in words
    )
    assert result["written"] == [str(image.with_suffix(".edit.png"))]
    before, after = read_image(image), read_image(image.with_suffix(".edit.png"))
    left, top, right, bottom = result["box"]
    changed = (before != after).any(2)
    assert changed[top:bottom, left:right].any()
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert 0 < result["score"] < 3 and 0 < result["loss"] < 5


def test_many_images_and_the_best_of_each_are_written_and_nothing_is_overwritten(
    tiny_root: Path, capsys: Captured, tmp_path: Path
) -> None:
    drawn = tiny_root / "data/images/eval-000.png"
    (tmp_path / "in").mkdir()
    same = [tmp_path / "in/p.png", tmp_path / "in/p.webp"]
    shutil.copy(drawn, same[0])
    Image.open(drawn).save(same[1], lossless=True)
    words = ["--mode", "enumerate", "--n", "2", "--show-boxes", "--json"]
    out = tmp_path / "out"
    assert run(tiny_root, *edit(*same), *words, "--output", str(out)) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert [Path(one).name for one in first["written"]] == [
        "p.edit.png", "p.edit-2.png", "p.boxes.png",
    ]  # fmt: skip
    assert [Path(one).name for one in second["written"]] == [
        "p.edit-3.png", "p.edit-4.png", "p.boxes-2.png",
    ]  # fmt: skip
    assert first["candidates"] == second["candidates"]  # the same pixels, the same seed
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(kept) == 6 and kept["p.edit.png"] == kept["p.edit-3.png"] != kept["p.edit-2.png"]
    assert run(tiny_root, *edit(same[0]), *words, "--seed", "1", "--output", str(out)) == 0
    assert all((out / name).read_bytes() == data for name, data in kept.items())
    assert (out / "p.edit-5.png").read_bytes() != kept["p.edit.png"]


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.webp", "WEBP")])
def test_the_suffix_says_how_the_edit_is_written(tiny_root: Path, name: str, kind: str) -> None:
    image, output = tiny_root / "data/images/eval-000.png", tiny_root / name
    output.write_text("mine")
    words = [*edit(image), "--mode", "enumerate", "--output", str(output)]
    assert run(tiny_root, *words) == 2 and output.read_text() == "mine"
    assert run(tiny_root, *words, "--overwrite") == 0
    with Image.open(output) as written:
        assert written.format == kind and written.size == (64, 64)


def test_a_photo_is_edited_by_picture_book_weights_only_where_that_is_forced(
    tiny_root: Path, capsys: Captured, tmp_path: Path
) -> None:
    photo, output = tmp_path / "photo.jpg", tmp_path / "edited.webp"
    Image.effect_noise((90, 60), 40).save(photo)
    words = [*edit(photo), "--mode", "enumerate", "--output", str(output)]
    said = refused(capsys, tiny_root, *words)
    assert "90x60" in said and "--profile sd2" in said and not output.exists()
    assert run(tiny_root, *words, "--force", "--json") == 0
    out, err = capsys.readouterr()
    assert "photo.jpg: picture-book weights know drawings alone" in err
    left, top, right, bottom = json.loads(out)["box"]
    changed = (read_image(photo) != read_image(output)).any(2)
    assert changed.shape == (60, 90) and changed[top:bottom, left:right].any()
    changed[top:bottom, left:right] = False
    assert not changed.any()


def test_an_amortised_edit_inpaints_the_most_probable_boxes_alone(
    tiny_root: Path, capsys: Captured
) -> None:
    params = tiny_params()
    params["profiles"]["picturebook"]["anchor_net"] = {"name": "local-dir:artifacts/anchor-net"}
    params["dataset_net"] |= {"tasks": [2], "seeds": 2, "steps": 2}
    write_params(tiny_root, params)
    image = tiny_root / "data/images/eval-000.png"
    assert "make study STUDY=train" in refused(capsys, tiny_root, *edit(image), *AMORTISED)
    for words in (["stage", "prepare"], ["stage", "candidates", "--proposals", "dino"]):
        assert run(tiny_root, *words) == 0
    assert run(tiny_root, "stage", "amortise") == 0
    capsys.readouterr()
    for budget, count in ((30, 3), (9, 2)):
        words = [*AMORTISED, "--budget", str(budget), "--json"]
        assert run(tiny_root, *edit(image), *words) == 0
        result = json.loads(capsys.readouterr().out)
        assert (len(result["candidates"]), result["nfe"]) == (count, 4 * count)


def test_what_is_too_long_transparent_or_moving_is_said(
    tiny_root: Path, capsys: Captured, tmp_path: Path
) -> None:
    frames = [Image.new("RGBA", (64, 64), colour) for colour in ("#f008", "#00f8")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    words = ["edit", str(tmp_path / "a.png"), "--mode", "enumerate", "--source", "a red boat"]
    long = ["--prompt", "a blue fish and a red boat and a green cup " * 9 + "on snow"]
    assert run(tiny_root, *words, *long) == 0
    said = capsys.readouterr().err.splitlines()
    for part in ("is transparent", "has 2 frames", "on snow"):
        assert len([line for line in said if part in line]) == 1, said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mode", "enumerate", "--budget", "9"], "enumerate inpaints every box"),
        (["--mode", "paper", "--budget", "9"], "paper inpaints every box"),
        (["--mode", "guess"], "'guess' is not one of"),
        (["--budget", "0"], "--budget"),
        (["--box", "1,2,3"], "--box 1,2,3"),
        (["--box", "9,9,3,20"], "left < right"),
        (["--box", "0,0,65,20"], "leaves"),
        (["--box", "0,0,2,20"], "too small"),
        (["--box", "0,0,8,8", "--budget", "9"], "leave out mode and budget"),
        (["--output", "edit.bmp/x.tif"], "png"),
        (["--output", ""], "--output is empty"),
        (["--n", "2", "--output", "a.png"], "name a folder"),
        (["--memory", "offlod=model"], "memory: unknown parameter 'offlod'; did you mean 'off"),
        (["--memory", "quantise=int3"], "memory: parameter 'quantise': input should be"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_model_is_loaded(
    root: Path, image: Path, capsys: Captured, words: list[str], said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(root)
    if words[1].startswith("edit.bmp"):
        (root / "edit.bmp").write_text("a file")
        said = "edit.bmp"
    assert said in refused(capsys, root, *edit(image), *words)


def test_an_image_that_is_none_is_one_sentence(
    root: Path, image: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert "is a folder" in refused(capsys, root, *edit("."))
    assert "is empty" in refused(capsys, root, *edit(""))
    assert "Missing argument" in refused(capsys, root, *edit())
    before = image.read_bytes()
    said = refused(capsys, root, *edit(image), "--output", str(image), "--overwrite")
    assert "is the picture that is edited" in said and image.read_bytes() == before
    several = refused(capsys, root, *edit(image, image), "--output", "a.png")
    assert "2 pictures" in several


SLIPS = [
    ["edit", "none.png", *WORDS],
    ["edit", "{image}", *WORDS, "--output", "{image}"],
    ["edit", "{image}", *WORDS, "--box", "0,0,99,99"],
    ["--profile", "sd3", "edit", "{image}", *WORDS],
]


def test_slips_are_told_before_anything_heavy_is_imported(image: Path) -> None:
    code = (
        "import sys\nfrom lr_edit.cli.main import main\n"
        f"for words in {[[word.format(image=image) for word in slip] for slip in SLIPS]!r}:\n"
        "    try:\n        main(words)\n    except SystemExit as stop:\n        print(stop.code)\n"
        "print('torch' in sys.modules, 'diffusers' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        cwd=image.parent, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.stdout.split() == ["2"] * len(SLIPS) + ["False", "False"], done.stderr


def test_without_a_study_the_commands_that_need_none_work_anywhere(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lr_edit.cli.main import main

    monkeypatch.chdir(tmp_path)
    main(["models", "list", "--json"])
    assert {row["profile"] for row in json.loads(capsys.readouterr().out)} >= {"picturebook", "sd2"}
    main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["profile"] == "picturebook" == found["weights"][0]["profile"]
    assert not list(tmp_path.iterdir())


def test_progress_is_said_where_there_is_no_terminal(
    tiny_root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lr_edit.cli.console.PAUSE", 0.0)
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image)) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.endswith("%")]
    shares = [int(line.rsplit(" ", 1)[1].rstrip("%")) for line in lines]
    assert len(shares) > 4 and shares == sorted(shares) and shares[-1] == 100


def test_boxes_are_drawn_over_the_edit(tiny_root: Path) -> None:
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image), "--mode", "enumerate", "--show-boxes") == 0
    plain, boxed = (read_image(image.with_suffix(f".{name}.png")) for name in ("edit", "boxes"))
    assert plain.shape == boxed.shape and (np.asarray(plain) != boxed).any()


@pytest.mark.parametrize("name", ["out.bmp", "out.TIFF", "folder/out.gif"])
def test_a_kind_of_picture_that_is_not_written_is_no_folder(
    root: Path, image: Path, capsys: Captured, name: str
) -> None:
    said = refused(capsys, root, *edit(image), "--output", str(root / name))
    assert "a picture's name ends in one of .png" in said
    assert not (root / name).exists()


def test_a_mask_is_never_overwritten(root: Path, image: Path, capsys: Captured) -> None:
    mask = root / "mask.png"
    Image.linear_gradient("L").resize((64, 64)).point(lambda v: 255 * (v > 127)).save(mask)
    before = mask.read_bytes()
    words = ["--mask", str(mask), "--output", str(mask), "--overwrite"]
    assert "is the mask: write the edit somewhere else" in refused(
        capsys, root, *edit(image), *words
    )
    assert mask.read_bytes() == before


def test_a_name_with_a_dot_is_a_new_folder_only_where_that_is_said(
    tiny_root: Path, capsys: Captured
) -> None:
    image = tiny_root / "data/images/eval-000.png"
    words = [*edit(image), "--mode", "enumerate", "--output"]
    assert "ends in one of" in refused(capsys, tiny_root, *words, str(tiny_root / "a.xyz"))
    assert run(tiny_root, *words, f"{tiny_root}/a.xyz/") == 0
    assert [path.name for path in (tiny_root / "a.xyz").iterdir()] == ["eval-000.edit.png"]
