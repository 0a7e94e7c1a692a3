"""Both packages as parsed source, read without importing anything: what a module defines, what it
imports, and all that it stands on.

Imports inside functions count like those at the top. A name imported from a package is followed
through the package's `__init__` to the module that defines it, so that a contents page does not
make everything depend on everything.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]  # of the packages: a checkout, or site-packages
PACKAGES = ("lr_edit", "eval", "benchmarks")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Place = tuple[str, str | None]  # a module and a name in it, or all of it
_IS_PATH = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*").fullmatch


@dataclass(frozen=True, eq=False)
class Module:
    """A Python file: its dotted name, its path below the home, its text."""

    name: str
    path: Path
    text: str

    @property
    def is_package(self) -> bool:
        """Whether it is a package's contents page."""
        return self.path.name == "__init__.py"

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree, parsed when first asked for."""
        return ast.parse(self.text)

    @property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """Name -> the statements at the top that define it: functions, classes, assignments."""
        found = defaultdict(list)
        for node in self.tree.body:
            for name in defined_names(node):
                found[name].append(node)
        return dict(found)

    @cached_property
    def loose(self) -> list[ast.stmt]:
        """What runs whenever the module is imported and neither defines nor imports."""
        known = (ast.Import, ast.ImportFrom)
        return [n for n in self.tree.body if not isinstance(n, known) and not defined_names(n)]

    @cached_property
    def imports(self) -> dict[str, list[Place]]:
        """Name -> where it is imported from, inside functions too."""
        found = defaultdict[str, list[Place]](list)
        for node in _statements(self.tree.body):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]].append((alias.name, None))
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    found[alias.asname or alias.name].append((node.module, alias.name))
        return dict(found)


class SourceTree:
    """The source of both packages below `home`; `edited` has another text for some modules."""

    def __init__(self, home: Path = HOME, *, edited: Mapping[str, str] | None = None) -> None:
        self.home, self._edited = home, dict(edited or {})
        self._modules: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """A module of the packages; None for what is none, such as a library."""
        if name not in self._modules:
            self._modules[name] = self._read(name) if name.split(".")[0] in PACKAGES else None
        return self._modules[name]

    def _read(self, name: str) -> Module | None:
        stem = Path(*name.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (self.home / path).is_file():
                return read_module(self.home, path, text=self._edited.get(name))
        return None

    def modules(self) -> dict[str, Module]:
        """Every module of the packages, by its dotted name."""
        paths = (path for top in PACKAGES for path in sorted((self.home / top).rglob("*.py")))
        names = (_dotted(path.relative_to(self.home)) for path in paths)
        return {name: module for name in names if (module := self.module(name))}

    def imports(self, name: str) -> set[str]:
        """Dotted names of the modules that a module imports, third-party ones too."""
        module = self.module(name)
        places = [place for row in module.imports.values() for place in row] if module else []
        return {self.origin(*place)[0] for place in places}

    def closure(self, name: str) -> set[str]:
        """A module and every one of the packages that it imports, directly or not."""
        seen, todo = set(), [name]
        while todo:
            here = todo.pop()
            if here not in seen and self.module(here):
                seen.add(here)
                todo += self.imports(here)
        return seen

    def files(self, name: str) -> list[Path]:
        """The files that a module stands on: its closure, and the data that this reads."""
        modules = [module for each in self.closure(name) if (module := self.module(each))]
        data = {path for module in modules for path in self.data(module, [module.tree])}
        return sorted(data | {module.path for module in modules})

    def data(self, module: Module, nodes: Iterable[ast.AST]) -> list[Path]:
        """Files beside a module, no Python, that its statements name, or the folder of."""
        folder, found = self.home / module.path.parent, set()
        for each in (each for node in nodes for each in ast.walk(node)):
            text = each.value if isinstance(each, ast.Constant) else None
            if isinstance(text, str) and _IS_PATH(text) and (folder / text).exists():
                place = folder / text
                inside = [] if (place / "__init__.py").exists() else place.rglob("*")
                found |= {p for p in (place, *inside) if p.is_file() and p.suffix != ".py"}
        return sorted(path.relative_to(self.home) for path in found)

    def origin(self, where: str, name: str | None) -> Place:
        """Where `from where import name` finds it: a submodule, the module that a contents page
        has it from, or that very place."""
        if name is None or self.module(f"{where}.{name}"):
            return (f"{where}.{name}" if name else where), None
        page = self.module(where)
        homes = self._re_exports(page, name) if page and page.is_package else iter(())
        return next((self.origin(*home) for home in homes), (where, name))

    def _re_exports(self, page: Module, name: str) -> Iterator[Place]:
        """Where a contents page has a name from: an import, or a table that it looks it up in."""
        yield from page.imports.get(name, [])
        for table in (node for node in ast.walk(page.tree) if isinstance(node, ast.Dict)):
            for key, value in zip(table.keys, table.values, strict=True):
                if getattr(key, "value", None) == name:
                    at = str(getattr(value, "value", ""))
                    for home in (at, f"{page.name}.{at}"):
                        if self.module(home):
                            yield home, name


def read_module(home: Path, path: Path, *, text: str | None = None) -> Module:
    """The Python file at `path` below `home`, or what it would be with another text."""
    return Module(_dotted(path), path, text or (home / path).read_text(encoding="utf-8"))


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements and all that stand inside them; expressions, which are many, import nothing."""
    for node in nodes:
        yield node
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            yield from _statements(getattr(node, field, ()))


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defined_names(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines, if that is all that it does."""
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    inside = [each for target in targets for each in ast.walk(target)]
    plain = all(isinstance(n, ast.Name | ast.Tuple | ast.List | ast.expr_context) for n in inside)
    return [n.id for n in inside if isinstance(n, ast.Name)] if plain else []
