"""YAML files read as DVC reads them: YAML 1.2 numbers, a mapping at the top."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from lr_edit.errors import UserError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2 numbers, as DVC reads and writes them: `5e-3` is a number, not a word."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """UserError if missing or not a YAML mapping."""
    return parse_yaml(read_text(path), path)


def read_text(path: Path) -> str:
    """UserError if missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `dvc repro` in a checkout first") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None


def parse_yaml(text: str, path: Path) -> dict[str, Any]:
    """The same from a text; `path` is what errors name."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a mapping")
    return value
