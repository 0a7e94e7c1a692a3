"""What every test may rely on: shapes and types are checked, one thread, no network, no display,
no telemetry, fixed draws.

Set before torch, matplotlib or mlflow is imported; command-line tests inherit the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

if TYPE_CHECKING:  # after the hook
    from lr_edit import Editor

os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    MPLBACKEND="Agg",
    MLFLOW_DISABLE_TELEMETRY="true",
    DVC_NO_ANALYTICS="true",
    NO_COLOR="1",
    ATEN_CPU_CAPABILITY="avx2",  # as the command line pins them, so that processes agree
    ONEDNN_MAX_CPU_ISA="AVX2",
    MKL_CBWR="AVX2",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AUTH_MODE="token",  # a cluster of ours answers nobody else
    RAY_AUTH_TOKEN=uuid4().hex,
)

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

# Every annotated function runs under beartype. PEP 484: an int is a float where one is asked for.
install_import_hook(
    ["lr_edit", "eval"], "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: whoever begins it last is waited for."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the picture book's models with random weights."""
    from tests.tiny import write_models

    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture
def tiny_root(tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of two tasks on those models, with a cache of its own."""
    from tests.tiny import write_root

    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "root").mkdir()
    return write_root(tmp_path / "root", tiny_models)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """The same once for a file of tests, which edit."""
    from tests.tiny import write_root

    return write_root(tmp_path_factory.mktemp("home"), tiny_models)


@pytest.fixture(scope="module")
def editor(home: Path) -> Editor:
    """An editor on its models."""
    from lr_edit import Editor

    return Editor.from_profile("picturebook", root=home, study=home / "params.yaml", device="cpu")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters and data, no models."""
    from tests.tiny import tiny_params, write_data, write_params  # after the hook

    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PROFILE", raising=False)
    home = tmp_path / "root"
    home.mkdir()
    write_params(home, tiny_params())
    write_data(home / "data")
    return home
