"""The packages and the tests as parsed source, for tests of how the code is written."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lr_edit.stages import TABLE
from lr_edit.stages.candidates import INPAINTED, WAYS
from lr_edit.workspace.source import Module, Place, SourceTree, read_module

# What makes a stage's results: for stages that keep items, the functions that make one.
ENTRIES: dict[str, list[Place]] = {
    **{stage: [(module, "run")] for stage, module in TABLE.items()},
    "candidates": [
        ("lr_edit.stages.candidates", function.__name__)
        for way in (INPAINTED, *WAYS.values())
        for function in (way.load, way.make)
    ],
    "judge": [("eval.stages.judge", name) for name in ("load_judges", "_judge")],
}
ROOT = Path(__file__).resolve().parent.parent
_TREE = SourceTree(ROOT)


@cache
def modules() -> dict[str, Module]:
    """Every module of the packages by dotted name."""
    return _TREE.modules()


def parsed(path: Path) -> Module:
    """A Python file below the root."""
    return read_module(ROOT, path.relative_to(ROOT))


def imports(name: str) -> set[str]:
    """Dotted names of the modules that a module imports, third-party ones too."""
    return _TREE.imports(name)


def project_imports(name: str) -> set[str]:
    """The imports that are modules of the packages."""
    return imports(name) & modules().keys()


def closure(name: str) -> set[str]:
    """A module and every project module that it imports, directly or not."""
    return _TREE.closure(name)


def files(name: str) -> set[str]:
    """The files that a module stands on, data too, as dvc.yaml names them."""
    return {path.as_posix() for path in _TREE.files(name)}
