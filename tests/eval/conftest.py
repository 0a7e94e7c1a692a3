"""Where the commands are tried: outside every checkout, with no weights in reach."""

from __future__ import annotations

from pathlib import Path

import pytest

import lr_edit.workspace.paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory outside every checkout."""
    monkeypatch.setattr(
        lr_edit.workspace.paths, "__file__", str(tmp_path / "site/lr_edit/workspace/paths.py")
    )
    monkeypatch.delenv("PROFILE", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
