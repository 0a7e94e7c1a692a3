"""Who inpaints, and what a task that fails costs: itself alone, by name, until a rerun."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from lr_edit import method
from lr_edit.cli.main import main
from lr_edit.config import load_config
from lr_edit.errors import Unfinished, UserError
from lr_edit.execution.local import (
    NEEDS,
    WORTH,
    Failed,
    choose_executor,
    cores,
    run_in_loop,
    run_over_cores,
)
from lr_edit.frozen.models import Models
from lr_edit.stages import candidates, prepare
from lr_edit.types import EditTask
from lr_edit.workspace.storage import study_tasks
from tests.test_method import silent
from tests.trouble import Squares, forbidden


@pytest.mark.long
def test_a_task_that_fails_is_named_and_holds_up_no_other(
    tiny_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--root", str(tiny_root), "stage", "candidates", "--proposals", "dino"]
    main(["--root", str(tiny_root), "stage", "prepare"])
    first, second = study_tasks(tiny_root)
    make_bank, tried = method.make_bank, []

    def failing(models: Models, task: EditTask, *rest, **options):
        tried.append(task)
        if tried == [first]:
            raise ValueError("no such thing")
        return make_bank(models, task, *rest, **options)

    monkeypatch.setattr(method, "make_bank", failing)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    said = capsys.readouterr().err
    made = tiny_root / "artifacts"
    assert stopped.value.code == 1 and not list(made.rglob(f"{first.id}*.safetensors"))
    assert f"1 of 2 tasks of candidates dino failed: {first.id} (ValueError: no such thing)" in said
    assert second.id not in said and len(list((tmp_path / "cache/candidates").iterdir())) == 1

    main(words)
    assert tried == [first, second, first] and len(list(made.rglob("*.safetensors"))) == 4


def test_an_executor_whose_package_is_missing_names_the_cure(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lr_edit.execution.ray", raising=False)
    words = ["stage", "candidates", "--proposals", "dino", "--executor", "ray"]
    with pytest.raises(SystemExit) as stopped:
        main(["--root", str(tiny_root), *words])
    assert stopped.value.code == 2 and "pip install 'lr-edit[ray]'" in capsys.readouterr().err


def test_a_bad_item_costs_no_other_process_its_item(tmp_path: Path) -> None:
    make = Squares(tmp_path, bad=2)
    made = dict(run_over_cores(range(6), make, workers=2))
    bad = made.pop(2)
    assert isinstance(bad, Failed) and bad.cause == "ValueError: 2 will not do"
    assert "trouble.py" in bad.trace
    assert made == {item: item * item for item in (0, 1, 3, 4, 5)}


def test_a_process_that_dies_ends_the_run_and_keeps_what_was_made(tmp_path: Path) -> None:
    made = {}
    with pytest.raises(Unfinished, match="run again"):
        for item, one in run_over_cores(range(9), Squares(tmp_path, always=5), workers=2):
            made[item] = one
    # The other process was at one item too.
    assert len({0, 1, 2, 3, 4} - set(made)) <= 1 and 5 not in made
    assert all(one == item * item for item, one in made.items())


def test_a_user_error_in_a_process_ends_the_run() -> None:
    with pytest.raises(UserError):
        list(run_over_cores(range(3), forbidden, workers=2))


@pytest.mark.long
def test_processes_make_the_loop_s_bytes(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(tiny_root / "params.yaml")
    made: list[dict[str, bytes]] = []
    prepare.run(tiny_root, config)
    folder = tiny_root / "artifacts"
    for execute in (run_in_loop, partial(run_over_cores, workers=2)):
        monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / f"cache-{len(made)}"))
        candidates.run(tiny_root, config, name="dino", track=silent, execute=execute)
        files = folder.rglob("*.safetensors")
        made.append({str(p.relative_to(folder)): p.read_bytes() for p in files})
    assert len(made[0]) == 4 and made[0] == made[1]


def test_a_process_a_core_is_for_many_items_of_small_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lr_edit.execution.local.cores", lambda: 4)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    free = SimpleNamespace(available=99 * NEEDS)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    found = choose_executor(3 * WORTH, small=True)
    assert isinstance(found, partial) and found.keywords == {"workers": 3}
    assert choose_executor(99 * WORTH, small=True).keywords == {"workers": 4}  # type: ignore[attr-defined]
    assert choose_executor(WORTH, small=True) is choose_executor(99, small=False) is run_in_loop
    free.available = 2.5 * NEEDS
    assert choose_executor(99 * WORTH, small=True).keywords == {"workers": 2}  # type: ignore[attr-defined]
    free.available = 1.5 * NEEDS
    assert choose_executor(99 * WORTH, small=True) is run_in_loop
    free.available = 99 * NEEDS
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_executor(99 * WORTH, small=True) is run_in_loop
    assert cores() >= 1
