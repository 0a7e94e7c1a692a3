"""One task's failure is its own: the others are made, it is named, and a rerun makes it alone."""

from __future__ import annotations

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
