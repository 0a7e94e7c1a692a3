"""A study is a folder; what studies share lies in the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lr_edit.cli.main import main
from lr_edit.errors import UserError
from lr_edit.workspace.paths import (
    cache_folder,
    checkout,
    find_params,
    find_root,
    locate,
    reports_folder,
)
from tests.source_tree import ROOT


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of a checkout at `tmp_path`."""
    (tmp_path / "params.yaml").touch()
    folder = tmp_path / "studies/val"
    folder.mkdir(parents=True)
    return folder


def test_the_root_is_the_given_one_or_the_checkout_around_us(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"holds no params\.yaml"):
        find_root(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert find_root() == find_root(tmp_path) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("there", "said"), [("params.yaml", r"holds params\.yaml and no dvc\.yaml: `git checkout"),
                        ("dvc.yaml", r"no params\.yaml here or above")]
)  # fmt: skip
def test_the_file_that_is_missing_is_the_one_that_is_named(
    tmp_path: Path, there: str, said: str, monkeypatch
) -> None:
    (tmp_path / there).touch()
    monkeypatch.chdir(tmp_path)
    installed = tmp_path / "lib/lr_edit/workspace/paths.py"  # as in site-packages
    monkeypatch.setattr("lr_edit.workspace.paths.__file__", str(installed))
    with pytest.raises(UserError, match=said):
        find_root()


def test_a_root_that_is_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder: point --root at a checkout"):
        find_params(tmp_path / "none")
    assert find_params(tmp_path) is None


def test_temporary_copies_of_a_checkout_share_its_cache(monkeypatch) -> None:
    monkeypatch.delenv("LR_EDIT_CACHE", raising=False)
    assert cache_folder(Path("/x")) == cache_folder(Path("/x/.dvc/tmp/exps/1")) == Path("/x/cache")
    monkeypatch.setenv("LR_EDIT_CACHE", "/y")
    assert cache_folder(Path("/x")) == Path("/y")


def test_a_study_shares_cache_and_reports_folder_with_its_checkout(
    tmp_path: Path, study: Path, monkeypatch
) -> None:
    monkeypatch.delenv("LR_EDIT_CACHE", raising=False)
    assert checkout(study) == checkout(tmp_path) == tmp_path
    assert cache_folder(study) == cache_folder(tmp_path) == tmp_path / "cache"
    assert reports_folder(tmp_path) == tmp_path / "reports"
    assert reports_folder(study) == tmp_path / "reports/val"


def test_a_checkout_below_a_folder_called_studies_is_no_study(tmp_path: Path) -> None:
    root = tmp_path / "studies/lr-edit"
    assert checkout(root) == root and reports_folder(root) == root / "reports"


def test_weights_and_data_are_found_in_the_study_else_above(tmp_path: Path, study: Path) -> None:
    assert locate(study, "models/m") == tmp_path / "models/m"  # nowhere: where it belongs
    for home in (tmp_path, study):
        (home / "models/m").mkdir(parents=True)
        assert locate(study, "models/m") == home / "models/m"
    assert locate(study, tmp_path / "models/m") == tmp_path / "models/m"


def test_a_study_that_waits_for_its_pipeline_is_no_other(
    tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git keeps no dvc.yaml of a study: `lr-edit study` writes it."""
    (tmp_path / "dvc.yaml").touch()
    (study / "params.yaml").touch()
    monkeypatch.chdir(study)
    assert find_root() == study.resolve()
    shutil.copy(ROOT / "params.yaml", study)
    with pytest.raises(SystemExit, match="2"):
        main(["stage", "report"])
    assert "has no dvc.yaml yet: run `lr-edit study val`" in capsys.readouterr().err
