"""The command line's results: on stdout, for a person or as JSON; warnings go to stderr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch

from lr_edit.cli import start
from lr_edit.cli.main import main
from lr_edit.errors import UserError, lacks_memory
from tests.source_tree import ROOT
from tests.tiny import run

Captured = pytest.CaptureFixture[str]


def test_where_names_the_results(root: Path, capsys: Captured) -> None:
    assert run(root, "where") == 0
    out = capsys.readouterr().out
    assert "results.json" in out and "contact_sheet.png" in out and "make ui" in out


def test_where_names_the_comparison_of_its_own_study(root: Path, capsys: Captured) -> None:
    study = root / "studies/photos"
    study.mkdir(parents=True)
    shutil.copy(root / "params.yaml", study)
    assert run(study, "where") == 0
    assert "make ui STUDY=photos " in capsys.readouterr().out


def test_models_list_says_what_is_there(tiny_root: Path, capsys: Captured) -> None:
    assert run(tiny_root, "models", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    bundled = [row for row in rows if row["profile"] == "picturebook"]
    full_size = [row for row in rows if row["profile"] == "sd2"]
    assert len(bundled) == 10 and all(row["present"] for row in bundled)
    assert len(full_size) == 9 and not any(row["present"] for row in full_size)
    assert run(tiny_root, "models", "list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def test_the_global_options_may_stand_after_the_command(
    tiny_root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    for words in (
        ["--root", str(tiny_root), "--profile", "sdx", "models", "list"],
        ["models", "list", "--profile", "sdx", "--root", str(tiny_root)],
    ):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] and "unknown profile 'sdx'; did you mean 'sdxl'?" in said[0]
    with pytest.raises(UserError, match="unknown profile"):
        main(["models", "list", "--profile", "sdx", "--debug"])
    with pytest.raises(SystemExit):
        main(["doctor", "--profile", "a", "--profile", "b"])
    assert "--profile is given 2 times" in capsys.readouterr().err


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


def test_a_stage_of_small_models_uses_one_thread(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name)
    assert run(tiny_root, "stage", "prepare") == 0
    assert [os.environ[name] for name in names] == ["1", "1"]


def test_pictures_are_drawn_where_they_are_asked_for(
    root: Path, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lr_edit.picturebook.tasks.COUNTS", {"dev": {"replace": 2}})
    assert run(root, "picturebook", "draw", "--out", str(tmp_path / "drawn")) == 0
    assert capsys.readouterr().out.startswith("2 tasks in ")
    assert len(list((tmp_path / "drawn/images").iterdir())) == 2


def test_picturebook_status_parses(root: Path, capsys: Captured) -> None:
    assert run(root, "picturebook", "status", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["steps"] for row in rows} == {0} and not any(row["exported"] for row in rows)


def test_help_lists_every_command_once_under_what_it_is_for() -> None:
    from lr_edit.cli.grouped import GROUPS
    from lr_edit.cli.main import cli

    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(cli.commands)
    page = cli.get_help(click.Context(cli, info_name="lr-edit"))
    assert all(f"\n{title}:\n" in page for title in GROUPS) and "More:" not in page


@pytest.mark.filterwarnings("ignore:out of memory")  # said before the batch is halved
@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"),
     RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ...")],
)  # fmt: skip
def test_a_full_device_is_no_defect_of_ours(
    tiny_root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("lr_edit.frozen.inpainter.Inpainter.inpaint", full)
    words = ["--source", "a boat", "--prompt", "a fish"]
    image = str(tiny_root / "data/images/eval-000.png")
    assert run(tiny_root, "edit", image, *words) == 1
    said = capsys.readouterr().err
    assert "out of memory" in said and "--memory offload=group" in said and "defect" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_printout_that_finds_no_room_is_said(root: Path) -> None:
    code = "from lr_edit.cli.start import main; main()"
    words = [sys.executable, "-c", code, "--root", str(root), "where"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "what is printed cannot be written (no space left there)" in done.stderr


@pytest.mark.parametrize(
    "error",
    [ImportError("x.so: failed to map segment from shared object"),
     RuntimeError("could not create a primitive"), MemoryError(),
     OSError(12, "Cannot allocate memory")],
)  # fmt: skip
def test_memory_that_is_full_is_known_by_whoever_says_it(error: Exception) -> None:
    assert lacks_memory(error)
    try:
        raise OSError("unable to load weights") from error
    except OSError as other:
        assert lacks_memory(other) and not lacks_memory(OSError("unable to load weights"))


def test_stopping_while_commands_are_imported_is_one_sentence() -> None:
    """Ctrl-C at the first import of what the commands need."""
    program = """
import sys
class Stop:
    def find_spec(self, name, *_):
        if name == "lr_edit.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
from lr_edit.cli.start import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "lr-edit: stopped before anything was begun\n"


def test_the_console_script_is_the_command_line(capsys: Captured) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["lr-edit", "stage", "nothing"])
        start.main()
    assert ended.value.code == 2 and "unknown stage 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["score", "a.png", "b.png", "--metrics", "mse", "--metrics=ssim"], "--metrics is given 2"),
        (["edit", "a.png", "--seed", "1", "--seed", "2"], "--seed is given 2 times"),
    ],
)
def test_an_option_that_is_given_twice_is_not_dropped(
    root: Path, capsys: Captured, words: list[str], said: str
) -> None:
    assert run(root, *words) == 2
    assert said in capsys.readouterr().err


def test_an_option_that_may_be_given_twice_is_read_twice(root: Path, capsys: Captured) -> None:
    words = ["--box", "1,2,3,4", "--box", "2,3,4,5", "--source", "a", "--prompt", "b"]
    assert run(root, "edit", "none.png", *words) == 2
    assert "none.png is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kept", "text"),
    [("tasks.json", '[{"id": "eval-006", "image": "images/eval-006.png"}]'), ("tasks.json", "7"),
     ("tasks.json", "{}"), ("images/eval-006.png", "x"), ("note.txt", "x")],
)  # fmt: skip
def test_the_world_is_drawn_over_nobody_s_files(
    root: Path, tmp_path: Path, capsys: Captured, kept: str, text: str
) -> None:
    mine = tmp_path / "mine" / kept
    mine.parent.mkdir(parents=True)
    mine.write_text(text)
    words = ["picturebook", "draw", "--train", "2", "--out", str(tmp_path / "mine")]
    assert run(root, *words) == 2
    assert "something else than the drawn world" in capsys.readouterr().err
    assert [path for path in (tmp_path / "mine").rglob("*") if path.is_file()] == [mine]
    assert run(root, "picturebook", "draw", "--seed", "-1") == 2
    assert "defect" not in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["2>&-", ">&-"])
def test_a_closed_stream_or_a_console_without_width_is_as_none(root: Path, closed: str) -> None:
    code = "from lr_edit.cli.start import main; main()"
    command = f'{sys.executable} -c "{code}" --root {root} where {closed}'
    assert subprocess.run(["bash", "-c", command], check=False).returncode == 0
    found = subprocess.run(
        [sys.executable, "-c", code, "--root", str(root), "doctor"],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "0"},
    )  # fmt: skip
    assert "picturebook" in found.stdout
