"""What code does, as a digest: the key that no result outlives.

DVC knows files, and reruns a stage after any edit of what it imports. A cache knows definitions:
from the functions that make a result, every name is followed to where it is defined (a class that
only an annotation names too: its instances come in), so that an edit of a function that they never
reach leaves the result as it is. Values of what is reached count, words do not: comments,
docstrings, annotations, what a failure says, and what `LEFT_OUT` names.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from lr_edit.workspace.source import Module, Place, SourceTree

# Modules, packages and libraries that move no value, and why. The constants that others read from
# them count all the same.
LEFT_OUT = {
    "lr_edit.config": "its values are in the keys, those that it computes too",
    "lr_edit.errors": "the words of failures",
    "lr_edit.execution": "who makes an item, not what is made",
    "lr_edit.profiles": "read into the values of config",
    "lr_edit.proposal_set": "read into the values of config",
    "lr_edit.stages.kept_rows": "how results are kept",
    "lr_edit.tracking.lockfile": "what dvc.lock records",
    "lr_edit.variant": "read into the values of config",
    "lr_edit.workspace.cache": "how results are kept",
    "lr_edit.workspace.code": "what they are kept by",
    "lr_edit.workspace.paths": "where things lie",
    "lr_edit.workspace.source": "what they are kept by",
    "jaxtyping": "annotations",
    "psutil": "who makes an item",
    "pydantic": "reads parameters, whose values are in the keys",
    "safetensors": "how arrays lie on disk",
    "yaml": "reads parameters, whose values are in the keys",
}
_DISTRIBUTIONS = {"PIL": "pillow", "open_clip": "open_clip_torch"}  # of another name
# Fields of a syntax tree that move no value, and statements: what an import means is told apart.
_WORDS = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
_SILENT = (ast.Import, ast.ImportFrom, ast.Pass)

Meaning = dict[ast.stmt, list[Place]]  # a statement -> what the names in it stand for


def code_digest(module: str, *names: str) -> str:
    """The digest of a module's functions, or of the whole module, with all that they reach."""
    digests = digest_modules(_source(), *((module, name) for name in names or (None,)))
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


@cache
def _source() -> SourceTree:
    return SourceTree()


def digest_modules(tree: SourceTree, *entries: Place) -> dict[str, str]:
    """What stands behind the entries: module -> sha256 over its definitions, what the names in them
    mean, and the data that they name; library -> its version."""
    found = {}
    for name, nodes in find_reached(tree, *entries).items():
        module = tree.module(name)
        if module is None and not is_silent(name):
            found[name] = _version(name)
        elif module and nodes:
            ordered = sorted(nodes, key=lambda node: node.lineno)
            texts = [f"{dump(node)} {nodes[node]}".encode() for node in ordered]
            texts += [(tree.home / path).read_bytes() for path in tree.data(module, nodes)]
            each = "".join(hashlib.sha256(text).hexdigest() for text in texts)
            found[name] = hashlib.sha256(each.encode()).hexdigest()
    return found


def find_reached(tree: SourceTree, *entries: Place) -> dict[str, Meaning]:
    """Module -> the statements of it that stand behind the entries. Libraries have none; what is
    left out is not looked into."""
    todo, seen, found = list(entries), set[Place](), defaultdict[str, Meaning](dict)
    for name in {each for entry in entries for each in tree.closure(entry[0])}:
        todo.append((name, ""))  # its loose statements run, whatever of the module is reached
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        known, module = found[place[0]], tree.module(place[0])
        if module is None:
            continue
        for node in _statements(module, place[1]):
            if node not in known:
                known[node] = _meant_by(tree, module, _names(node, words=False))
                todo += _meant_by(tree, module, _names(node, words=True))
    return dict(found)


def is_left_out(name: str) -> bool:
    """Whether a module, or the package that it is in, moves no value."""
    return any(f"{name}.".startswith(f"{one}.") for one in LEFT_OUT)


def is_silent(library: str) -> bool:
    """Whether a library's version moves no value: Python's own, or left out."""
    return library.split(".")[0] in sys.stdlib_module_names or is_left_out(library)


def dump(node: ast.AST) -> str:
    """A syntax tree as text, the same on every Python, without what moves no value."""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__}:{node.value!r}"
    if isinstance(node, _SILENT):
        return ""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return ""
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return ""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"Raise({dump(node.exc.func)})"
    parts = []
    for field, value in ast.iter_fields(node):
        if field in _WORDS or value is None:
            continue
        values = value if isinstance(value, list) else [value]
        texts = [dump(each) if isinstance(each, ast.AST) else repr(each) for each in values]
        if text := ",".join(text for text in texts if text):
            parts.append(f"{field}=[{text}]")
    return f"{type(node).__name__}({' '.join(parts)})"


def _version(library: str) -> str:
    top = library.split(".")[0]
    try:
        return version(_DISTRIBUTIONS.get(top, top))
    except PackageNotFoundError:
        return "none"


def _statements(module: Module, name: str | None) -> list[ast.stmt]:
    """The statements that a place stands for; of what is left out, constants alone."""
    own = module.definitions
    nodes = [n for row in own.values() for n in row] if name is None else own.get(name, [])
    if is_left_out(module.name):
        return [node for node in nodes if name and isinstance(node, ast.Assign | ast.AnnAssign)]
    return nodes + [node for node in module.loose if dump(node)]


def _names(node: ast.AST, *, words: bool) -> Iterator[tuple[str, str | None]]:
    """The names that a statement reads, each with the attribute that it takes of it; with `words`
    those in annotations too."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield node.value.id, node.attr
        return
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        node = node.exc.func
    if isinstance(node, ast.Name):
        yield node.id, None
    for field, value in ast.iter_fields(node):
        if words or field not in _WORDS:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _names(child, words=words)


def _meant_by(
    tree: SourceTree, module: Module, names: Iterable[tuple[str, str | None]]
) -> list[Place]:
    """What names in a module stand for, in a fixed order."""
    return sorted({one for name in set(names) for one in _meant(tree, module, *name)}, key=repr)


def _meant(tree: SourceTree, module: Module, base: str, attribute: str | None) -> Iterator[Place]:
    """The places that `base`, or `base.attribute`, stands for in a module."""
    if base in module.definitions:
        yield module.name, base
    for where, name in module.imports.get(base, []):
        home, inner = tree.origin(where, name)
        inner = attribute if inner is None else inner
        target = tree.module(home)
        if target is None or inner is None or inner in target.definitions:
            yield home, inner
        elif inner in target.imports:
            yield from _meant(tree, target, inner, None)
        else:  # made in a way that cannot be read off
            yield home, None
