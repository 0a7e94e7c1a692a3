"""No result is older than the code that made it: whatever a stage runs moves its key."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

import pytest

from lr_edit.stages import TABLE
from lr_edit.workspace.code import digest_modules, dump, find_reached, is_left_out
from lr_edit.workspace.source import Module, Place, SourceTree
from tests.source_tree import ROOT

# What makes a stage's results: for stages that keep items, the functions that make one.
ENTRIES: dict[str, list[Place]] = {
    **{stage: [(module, "run")] for stage, module in TABLE.items()},
    "candidates": [("lr_edit.stages.candidates", name) for name in ("_load", "_make")],
    "judge": [("eval.stages.judge", name) for name in ("load_judges", "_judge")],
}
TREE = SourceTree(ROOT)
each_stage = pytest.mark.parametrize("stage", ENTRIES)


def counted(stage: str) -> dict[Module, list[ast.stmt]]:
    """Module -> its statements whose values are in the stage's key."""
    found = find_reached(TREE, *ENTRIES[stage])
    return {
        module: list(nodes)
        for name, nodes in found.items()
        if nodes and (module := TREE.module(name)) and not is_left_out(name)
    }


class Mutant(ast.NodeTransformer):
    """Changes the first value that it comes by: a constant, an operator, a comparison; with
    `calls` the first call."""

    def __init__(self, *, calls: bool = False) -> None:
        self.changed, self._calls = False, calls

    def visit(self, node: ast.AST) -> Any:
        silent = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if self.changed or silent or isinstance(node, ast.Raise):
            return node
        new = self.other(node)
        if new is None:
            for field, value in ast.iter_fields(node):
                if field not in ("annotation", "returns"):
                    self.inside(node, field, value)
            return node
        self.changed = True
        return ast.copy_location(new, node)

    def inside(self, node: ast.AST, field: str, value: object) -> None:
        if isinstance(value, list):
            value[:] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
        elif isinstance(value, ast.AST):
            setattr(node, field, self.visit(value))

    def other(self, node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.Constant):
            return ast.Constant("other" if node.value != "other" else 7)
        if self._calls and isinstance(node, ast.Call):
            return ast.Constant(7)
        swaps = {ast.Add: ast.Sub, ast.Mult: ast.Div, ast.Lt: ast.LtE, ast.Eq: ast.NotEq}
        return swaps[type(node)]() if type(node) in swaps else None


def mutated(module: Module, statements: Iterable[ast.stmt]) -> str:
    """A module's text with a value changed in each of its statements that has one."""
    tree = ast.parse(module.text)
    for at in (module.tree.body.index(statement) for statement in statements):
        for mutant in (Mutant(), Mutant(calls=True)):
            tree.body[at] = mutant.visit(tree.body[at])
            if mutant.changed:
                assert dump(tree.body[at]) != dump(module.tree.body[at])
                break
    return ast.unparse(tree)


@each_stage
def test_a_changed_value_in_any_module_that_a_stage_runs_moves_its_key(stage: str) -> None:
    before = digest_modules(TREE, *ENTRIES[stage])
    texts = {module.name: mutated(module, nodes) for module, nodes in counted(stage).items()}
    after = digest_modules(SourceTree(ROOT, edited=texts), *ENTRIES[stage])
    valueless = {"lr_edit.frozen.protocols"}
    assert {name for name in texts if before[name] == after.get(name)} <= valueless
    assert len(texts) > 2


class Reworded(ast.NodeTransformer):
    """The same code in other words: docstrings, annotations, what failures say."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Expr(ast.Constant("Other words.")) if is_text(node.value) else node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = optional(node.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = optional(node.annotation) or node.annotation
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = optional(node.returns)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args = [ast.Constant("something else is wrong")]
        return node


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def optional(annotation: ast.expr | None) -> ast.expr | None:
    return annotation and ast.BinOp(annotation, ast.BitOr(), ast.Constant(None))


def test_other_words_leave_every_key_as_it_is() -> None:
    texts = {}
    for module in {module for stage in ENTRIES for module in counted(stage)}:
        tree = Reworded().visit(ast.parse(module.text))
        text = ast.unparse(ast.fix_missing_locations(tree))
        texts[module.name] = f"# a comment\n{text}\n# and more\n"
    other = SourceTree(ROOT, edited=texts)
    for entries in ENTRIES.values():
        assert digest_modules(other, *entries) == digest_modules(TREE, *entries)


@pytest.mark.parametrize(
    ("stage", "name", "old", "new"),
    [
        ("candidates", "lr_edit.types", "% self.refresh == 0", "% self.refresh == 1"),
        ("candidates", "lr_edit.frozen.images", 'mode="bicubic"', 'mode="nearest"'),
        ("judge", "lr_edit.frozen.judge", "_MARGIN = 1.25", "_MARGIN = 2.0"),
        ("judge", "lr_edit.frozen.perceptual", "normalize=True", "normalize=False"),
        ("judge", "lr_edit.frozen.dino", "chunk(3, dim=-1)[1]", "chunk(3, dim=-1)[0]"),
    ],
)
def test_what_once_stayed_in_the_cache_is_made_anew(
    stage: str, name: str, old: str, new: str
) -> None:
    module = TREE.module(name)
    assert module and old in module.text
    other = SourceTree(ROOT, edited={name: module.text.replace(old, new)})
    assert digest_modules(other, *ENTRIES[stage]) != digest_modules(TREE, *ENTRIES[stage])
