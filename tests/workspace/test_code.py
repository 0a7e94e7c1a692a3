"""No result is older than the code that made it: whatever a stage runs moves its key."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lr_edit.workspace.code import LEFT_OUT, digest_modules, dump, find_reached, is_left_out
from lr_edit.workspace.source import Module, SourceTree
from tests.source_tree import ENTRIES, ROOT

TREE = SourceTree(ROOT)
each_stage = pytest.mark.parametrize("stage", ENTRIES)


@cache
def before(stage: str) -> dict[str, str]:
    """The digests of a stage as the code is."""
    return digest_modules(TREE, *ENTRIES[stage])


@cache
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
    texts = {module.name: mutated(module, nodes) for module, nodes in counted(stage).items()}
    after = digest_modules(SourceTree(ROOT, edited=texts), *ENTRIES[stage])
    valueless = {"lr_edit.frozen.protocols"}
    assert {name for name in texts if before(stage)[name] == after.get(name)} <= valueless
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
    for stage in ("candidates", "judge", "report", "publish"):
        assert digest_modules(other, *ENTRIES[stage]) == before(stage)


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
    assert digest_modules(other, *ENTRIES[stage]) != before(stage)


def test_what_is_left_out_is_there_and_says_why() -> None:
    for name, why in LEFT_OUT.items():
        assert why
        if name.startswith("lr_edit"):
            assert TREE.module(name), f"{name} is gone: take it off the list"


def test_annotations_that_read_parameters_stand_in_modules_that_are_left_out() -> None:
    reached = {module for stage in ENTRIES for module in counted(stage)}
    assert not [module.name for module in reached if "pydantic" in TREE.imports(module.name)]


def test_what_the_configuration_computes_is_in_the_keys_or_a_plain_look_up() -> None:
    """Modules of parameters are left out of keys: what they make of values is listed here."""
    looked_up = {"models", "variant", "proposal_set", "model", "roles", "folder", "title_of",
                 "with_memory", "most"}  # fmt: skip
    computed = {"sampler", "moves"}  # named in the key of candidates
    found = {
        each.name
        for name in ("lr_edit.config", "lr_edit.profiles", "lr_edit.proposal_set")
        for node in TREE.modules()[name].tree.body
        if isinstance(node, ast.ClassDef)
        for each in node.body
        if isinstance(each, ast.FunctionDef)
        and not any(isinstance(d, ast.Call) for d in each.decorator_list)  # validators
    }
    assert found == looked_up | computed


def test_a_constant_of_a_module_that_is_left_out_counts_where_a_stage_reads_it() -> None:
    config = TREE.modules()["lr_edit.proposal_set"]
    line = 'Map = Literal["dino", "relevance", "diffedit"]'
    assert line in config.text
    for old, new, moves in (
        (line, line.replace('"dino", ', ""), True),
        ("ge=1", "ge=2", False),
        ("def _belongs_together", "def _other", False),
    ):
        text = config.text.replace(old, new)
        assert text != config.text
        other = SourceTree(ROOT, edited={config.name: text})
        after = digest_modules(other, *ENTRIES["candidates"])
        assert (after != before("candidates")) == moves, old


def test_data_beside_a_module_and_the_versions_of_its_libraries_are_in_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lr_edit").mkdir()
    (tmp_path / "lr_edit/page.py").write_text(
        "import torch\nimport rich\nfrom pathlib import Path\n"
        'PAGE = Path(__file__).with_name("page.html")\n'
        "def run():\n    return torch.ones(2), PAGE.read_text()\n"
    )
    page = tmp_path / "lr_edit/page.html"
    page.write_text("words")
    entry = ("lr_edit.page", "run")

    def digest() -> dict[str, str]:
        return digest_modules(SourceTree(tmp_path), entry)

    first = digest()
    assert set(first) == {"lr_edit.page", "torch"}  # what is imported and not used is not here
    page.write_text("other words")
    assert digest() != first
    page.write_text("words")
    monkeypatch.setattr("lr_edit.workspace.code.version", lambda name: "0")
    assert digest() != first
