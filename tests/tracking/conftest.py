"""Making MLflow's database takes seconds, so one empty one is made and copied."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's with nothing in it."""
    from lr_edit.tracking.store import _make_database  # after the hook

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    _make_database(path)
    return path
