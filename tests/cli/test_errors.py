"""Every failure is one sentence on stderr and an exit code, never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lr_edit.cli.main import main
from tests.tiny import run, tiny_params, write_params

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, root: Path, *words: str, code: int = 2) -> str:
    """What stderr says when the exit code is `code`: one line and no traceback."""
    assert run(root, *words) == code
    streams = capsys.readouterr()
    lines = [line for line in streams.err.splitlines() if line.startswith("lr-edit: ")]
    assert len(lines) == 1 and streams.err.rstrip().endswith(lines[0]), streams.err
    assert "Traceback" not in streams.err and not streams.out
    return lines[0]


def edit(image: Path | str, prompt: str = "a blue fish on sand") -> list[str]:
    return ["edit", str(image), "--source", "a red boat", "--prompt", prompt]


def labels(params: dict[str, Any]) -> dict[str, Any]:
    own = {"name": "local-dir:models/picturebook/judge"}
    return params["profiles"]["picturebook"].setdefault("judges", {"labels": own})["labels"]


def change_params(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    params = tiny_params()
    change(params)
    write_params(root, params)


def change_tasks(root: Path, **values: str) -> None:
    """Overwrite keys of the first task."""
    path = root / "data/tasks.json"
    tasks = json.loads(path.read_text())
    tasks[0] |= values
    path.write_text(json.dumps(tasks))


def test_a_missing_image_is_named(root: Path, capsys: Captured) -> None:
    said = refused(capsys, root, *edit(root / "none.png"))
    assert "none.png is missing" in said


def test_a_working_directory_that_is_gone_is_said(
    root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := root / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    image = next((root / "data/images").iterdir())
    for words in (
        edit(image),
        ["data", "add", str(image.parent)],
        ["score", str(image), str(image), "--metrics", "whole_lpips"],
    ):
        assert refused(capsys, root, *words).endswith(
            "the working directory is gone: change into a folder that is there"
        )


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n cut"])
def test_a_corrupt_image_is_named(root: Path, capsys: Captured, content: bytes) -> None:
    (root / "bad.png").write_bytes(content)
    said = refused(capsys, root, *edit(root / "bad.png"))
    assert "bad.png cannot be read" in said and "replace it" in said


def test_a_truncated_image_is_named(root: Path, capsys: Captured) -> None:
    image = next((root / "data/images").iterdir())
    image.write_bytes(image.read_bytes()[:2000])
    assert image.name in refused(capsys, root, "stage", "prepare")


def test_a_missing_image_of_a_task_is_named(root: Path, capsys: Captured) -> None:
    image = next((root / "data/images").iterdir())
    image.unlink()
    assert f"{image.name} is missing" in refused(capsys, root, "stage", "prepare")


@pytest.mark.parametrize("prompt", ["", "  "])
def test_an_empty_prompt_is_refused(root: Path, capsys: Captured, prompt: str) -> None:
    image = next((root / "data/images").iterdir())
    assert "may not be empty" in refused(capsys, root, *edit(image, prompt))
    change_tasks(root, prompt=prompt)
    assert "empty 'prompt'" in refused(capsys, root, "stage", "prepare")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "images/../../secret.png"])
def test_an_image_that_leaves_the_data_folder_is_refused(
    root: Path, capsys: Captured, name: str
) -> None:
    shutil.copy(next((root / "data/images").iterdir()), root / "secret.png")
    change_tasks(root, image=name)
    said = refused(capsys, root, "stage", "prepare")
    assert repr(name) in said and "leaves data/" in said


def test_a_link_that_leaves_the_data_folder_is_refused(root: Path, capsys: Captured) -> None:
    image = next((root / "data/images").iterdir())
    shutil.move(image, root / "secret.png")
    image.symlink_to(root / "secret.png")
    assert "leaves data/" in refused(capsys, root, "stage", "prepare")


def test_a_repeated_task_is_refused(root: Path, capsys: Captured) -> None:
    tasks = json.loads((root / "data/tasks.json").read_text())
    change_tasks(root, id=tasks[1]["id"])
    assert "more than once" in refused(capsys, root, "stage", "prepare")


@pytest.mark.parametrize("data", ["{", '"tasks"', "[1]", '{"1.png": ["a boat"]}'])
def test_tasks_of_another_form_are_refused(root: Path, capsys: Captured, data: str) -> None:
    (root / "data/tasks.json").write_text(data)
    assert "tasks.json" in refused(capsys, root, "stage", "prepare")


def test_no_data_is_one_sentence(root: Path, capsys: Captured) -> None:
    shutil.rmtree(root / "data")
    assert "dvc pull" in refused(capsys, root, "stage", "prepare")


@pytest.mark.parametrize(
    ("change", "named", "nearest"),
    [
        (lambda p: p["inpaint"].update(stepz=3), "stepz", "steps"),
        (lambda p: p["variants"]["learned"].update(learnr="exact"), "learnr", "learner"),
        (lambda p: p["base"].update(sead=3), "sead", "seeds"),
        (lambda p: p["base"]["losses"].update(clop=3.0), "clop", "clip"),
        (lambda p: p["profiles"]["picturebook"].update(sid=64), "sid", "side"),
        (lambda p: p.update(proposal={}), "proposal", "proposals"),
        (lambda p: labels(p).update(nam="x"), "nam", "name"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest(
    root: Path, capsys: Captured, change: Callable, named: str, nearest: str
) -> None:
    change_params(root, change)
    said = refused(capsys, root, "stage", "prepare")
    assert named in said and repr(nearest) in said and "params.yaml" in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda p: p["inpaint"].update(steps=0), "inpaint.steps"),
        (lambda p: p["inpaint"].update(steps="many"), "inpaint.steps"),
        (lambda p: p["variants"]["learned"].update(learner="magic"), "learner"),
        (lambda p: p["propose"].update(points=0), "propose.points"),
        (lambda p: p["variants"]["learned"].update(proposals="dina"), "dino"),
        (lambda p: p["study"].update(baseline="none"), "none"),
        (lambda p: p["base"].update(losses=[1]), "'base.losses' must be a table, got [1]"),
        (lambda p: p["base"].update(steps=0), "'base.steps'"),
        (lambda p: p["base"]["losses"].update(clip=True), "'base.losses.clip' must be a number"),
        (lambda p: p["base"]["losses"].update(clip="1"), "'base.losses.clip' must be a number"),
        (lambda p: p["variants"].update({"a" * 300: {}}), "200 bytes at most"),
        (lambda p: p["base"]["losses"].update(clip="x"), "'base.losses.clip'"),
        (lambda p: p["variants"]["learned"].update(losses=3), "'variants.learned.losses' must be"),
    ],
)
def test_an_impossible_parameter_is_named(
    root: Path, capsys: Captured, change: Callable, named: str
) -> None:
    change_params(root, change)
    assert named in refused(capsys, root, "stage", "prepare")


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_a_broken_params_file_is_one_sentence(root: Path, capsys: Captured, text: str) -> None:
    (root / "params.yaml").write_text(text)
    assert "params.yaml" in refused(capsys, root, "where")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stage", "train", "--variant", "lerned"], "unknown variant 'lerned'; did you mean 'lea"),
        (["stage", "candidates", "--proposals", "dina"], "unknown proposal set 'dina'"),
        (["stage", "trian"], "unknown stage 'trian'; did you mean 'train'?"),
        (["stage", "train"], "stage 'train' needs --variant"),
        (["stage", "evaluate"], "stage 'evaluate' needs --variant"),
        (["stage", "candidates"], "stage 'candidates' needs --proposals"),
        (["stage", "candidates", "--variant", "learned"], "'candidates' takes no --variant"),
        (["stage", "prepare", "--variant", "learned"], "'prepare' takes no --variant"),
        (["stage", "edit", "--variant", "learned", "--proposals", "dino"], "takes no --proposals"),
        (["--profile", "sd3", "where"], "unknown profile 'sd3'"),
        (["--no-such-option"], "No such option"),
        (["stage"], "Missing argument"),
        (["no-such-command"], "No such command"),
        (["picturebook", "train", "anchor"], "unknown model 'anchor'; did you mean 'anchors'?"),
        (["models", "pull"], "bundled: run `dvc pull`"),
        (["stage", "train", "--variant", "learned"], "run the stage that makes it"),
    ],
)
def test_a_slip_of_the_keyboard_is_one_sentence(
    root: Path, capsys: Captured, words: list[str], said: str
) -> None:
    assert said in refused(capsys, root, *words)


def test_too_small_a_budget_says_what_a_race_takes(tiny_root: Path, capsys: Captured) -> None:
    image = next((tiny_root / "data/images").iterdir())
    said = refused(capsys, tiny_root, *edit(image), "--budget", "4")
    assert "a budget of 4 UNet evaluations is too small" in said and "at least" in said


def test_a_root_without_parameters_is_refused(tmp_path: Path, capsys: Captured) -> None:
    assert "--root" in refused(capsys, tmp_path, "where")


def test_missing_weights_name_their_cure(root: Path, capsys: Captured) -> None:
    anchors = {"name": "local-dir:models/nowhere/anchors"}
    change_params(root, lambda p: p["profiles"]["picturebook"].update(anchors=anchors))
    image = next((root / "data/images").iterdir())
    said = refused(capsys, root, *edit(image))
    assert "models/nowhere/anchors" in said and "dvc pull" in said


def test_unreadable_weights_are_named(tiny_root: Path, tiny_models: Path, capsys: Captured) -> None:
    (tiny_root / "models/picturebook").unlink()
    shutil.copytree(tiny_models, tiny_root / "models/picturebook")
    weights = tiny_root / "models/picturebook/anchors/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    image = next((tiny_root / "data/images").iterdir())
    said = refused(capsys, tiny_root, *edit(image))
    assert "models/picturebook/anchors" in said and "dvc pull" in said


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`:UserWarning")
def test_weights_that_no_closed_machine_has_are_named(root: Path, capsys: Captured) -> None:
    image = next((root / "data/images").iterdir())
    said = refused(capsys, root, "--profile", "sd2", *edit(image))
    assert "vit_base_patch8_224.dino" in said and "models pull" in said


def test_a_failure_of_ours_is_exit_code_1_and_debug_shows_where(
    root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bolt is loose")

    monkeypatch.setattr("lr_edit.stages.prepare.find_tasks", fail)
    said = refused(capsys, root, "stage", "prepare", code=1)
    assert "a bolt is loose" in said and "--debug" in said
    with pytest.raises(RuntimeError, match="a bolt is loose"):
        main(["--debug", "--root", str(root), "stage", "prepare"])


def test_an_interrupt_is_exit_code_130(
    root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lr_edit.stages.prepare.find_tasks", stop)
    assert "stopped" in refused(capsys, root, "stage", "prepare", code=130)


def test_the_console_script_prints_the_sentence_and_no_traceback(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from lr_edit.cli.main import main; main()",
         "--root", str(root), "stage", "trian"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "lr-edit: unknown stage 'trian'; did you mean 'train'?\n"
