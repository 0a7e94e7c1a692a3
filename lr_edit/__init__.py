"""Text-driven image editing via learnable regions: a reproduction that learns, and measures.

    from lr_edit import Editor
    editor = Editor.from_profile("picturebook")
    result = editor("scene.png", source="a red boat", prompt="a blue fish on sand")

Names load when they are first used: importing the package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lr_edit.config import load_config
    from lr_edit.editor import Editor
    from lr_edit.errors import UserError
    from lr_edit.result import Candidate, EditResult
    from lr_edit.types import Box, EditTask

_HOMES = {
    "Editor": "lr_edit.editor",
    "EditResult": "lr_edit.result",
    "Candidate": "lr_edit.result",
    "Box": "lr_edit.types",
    "EditTask": "lr_edit.types",
    "UserError": "lr_edit.errors",
    "load_config": "lr_edit.config",
}

__all__ = ["Box", "Candidate", "EditResult", "EditTask", "Editor", "UserError", "load_config"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lr_edit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
