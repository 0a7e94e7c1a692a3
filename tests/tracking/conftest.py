"""Making MLflow's database takes seconds, so one empty one is made and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.finished_study import make_study

VARIANTS = {"learned": {"learner": "exact"}, "untrained": {}}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's with nothing in it."""
    from lr_edit.tracking.store import _make_database  # after the hook

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    _make_database(path, path.parent / "mlruns")
    return path


@pytest.fixture
def root(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("LR_EDIT_CACHE", raising=False)
    root = tmp_path / "a study"
    make_study(root, VARIANTS)
    shutil.copyfile(empty_store, root / "mlflow.db")
    return root
