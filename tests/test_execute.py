"""Who paints, and what a task that fails costs: itself alone, by name, until a rerun."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lr_edit import editor
from lr_edit.cli import main
from lr_edit.frozen.models import Models
from lr_edit.storage import study_tasks
from lr_edit.types import EditTask


def test_a_task_that_fails_is_named_and_holds_up_no_other(
    tiny_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--root", str(tiny_root), "stage", "candidates", "--proposals", "dino"]
    main(["--root", str(tiny_root), "stage", "prepare"])
    first, second = study_tasks(tiny_root)
    make_bank, tried = editor.make_bank, []

    def unlucky(models: Models, task: EditTask, *rest, **options):
        tried.append(task)
        if tried == [first]:
            raise ValueError("no luck")
        return make_bank(models, task, *rest, **options)

    monkeypatch.setattr(editor, "make_bank", unlucky)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    said = capsys.readouterr().err
    made = tiny_root / "artifacts/candidates/dino"
    assert stopped.value.code == 1 and not list(made.iterdir())
    assert f"1 of 2 tasks of candidates dino failed: {first.id} (ValueError: no luck)" in said
    assert second.id not in said and len(list((tmp_path / "cache/candidates").iterdir())) == 2

    main(words)
    assert tried == [first, second, first] and len(list(made.rglob("*.safetensors"))) == 4


def test_an_executor_whose_package_is_missing_names_the_cure(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lr_edit.cluster", raising=False)
    words = ["stage", "candidates", "--proposals", "dino", "--executor", "ray"]
    with pytest.raises(SystemExit) as stopped:
        main(["--root", str(tiny_root), *words])
    assert stopped.value.code == 2 and "pip install 'lr-edit[ray]'" in capsys.readouterr().err
