"""Both packages as parsed source: what a module imports, and all it stands on.

Imports inside functions count like those at the top. A name imported from a package is followed
through the package's `__init__` to the module that defines it, so that a contents page does not
make everything depend on everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lr_edit", "eval")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Module:
    """A Python file: its dotted name, its path below the root, its text and its tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def parsed(path: Path) -> Module:
    """A file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Module(name, path.relative_to(ROOT), text, ast.parse(text))


@cache
def modules() -> dict[str, Module]:
    """Every module of both packages by dotted name."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {module.name: module for module in map(parsed, paths)}


@cache
def imports(name: str) -> frozenset[str]:
    """Dotted names of the modules that a module imports, third-party ones too."""
    found: set[str] = set()
    for node in ast.walk(modules()[name].tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {_origin(node.module, alias.name) for alias in node.names}
    return frozenset(found)


def project_imports(name: str) -> set[str]:
    """The imports that are modules of the two packages."""
    return {other for other in imports(name) if other in modules()}


def closure(name: str) -> set[str]:
    """A module and every project module that it imports, directly or not."""
    seen, todo = set(), [name]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo.extend(project_imports(here))
    return seen


def _origin(module: str, name: str) -> str:
    """Where `from module import name` finds the name: a submodule, a re-export's home, or there."""
    if f"{module}.{name}" in modules():
        return f"{module}.{name}"
    page = modules().get(module)
    if page is None or not page.is_package:
        return module
    return next((_origin(*home) for home in _re_exports(page, name)), module)


def _re_exports(page: Module, name: str) -> Iterator[tuple[str, str]]:
    """(module, name) of what a contents page offers under a name: imported, or named in a table
    that a lazy `__getattr__` reads."""
    for node in ast.walk(page.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, a.name) for a in node.names if (a.asname or a.name) == name)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                pair = (getattr(key, "value", None), getattr(value, "value", None))
                if pair[0] == name and pair[1] in modules():
                    yield str(pair[1]), name
