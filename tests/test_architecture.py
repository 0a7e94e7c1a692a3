"""The habits of the code, held as data: who may import whom, how long things may be."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.source_tree import ROOT, Module, imports, modules, parsed, project_imports

# Parts of lr_edit, lowest first: a part imports what stands in a row above its own, and itself.
LAYERS = (
    {"errors"},
    {"yaml_text"},
    {"files"},  # below the parameters, which are read from one
    {"types", "profiles"},
    {"proposal_set", "variant"},
    {
        "boxes",
        "edge_boxes",
        "losses",
        "choose",
        "successive_halving",
        "config",
        "photo",
        "anchor_net",
    },
    {"execution", "workspace", "learn", "frame", "progress"},
    {"photo_file"},
    {"edit_table"},
    {"frozen", "learn_amortised", "tracking", "request"},
    {"result", "own_photos"},
    {"inpaint", "score"},
    {"grounding"},
    {"baselines"},
    {"saliency"},
    {"propose"},
    {"method", "amortise"},
    {"detect", "instruct"},
    {"budgeted_editor", "picturebook"},
    {"framed_anchors", "framed_models"},
    {"own_shape"},
    {"stages"},
    {"modes"},
    {"editor"},
    {"illustrate"},
    {"desk"},
    {"app"},
    {"cli"},
)
# The same for eval. Its commands and stages are what `lr_edit.cli` calls.
EVAL_LAYERS = ({"statistics", "metrics"}, {"power"}, {"study"}, {"report"}, {"external", "stages"})
# The same for what measures lr_edit's cost; nobody imports it.
BENCHMARK_LAYERS = (
    {"timing", "graphs", "full_size", "page", "evaluation_picture", "browser", "photos"},
    {"strategies", "training", "app_picture"},
    {"counted"},
    {"cost"},
)
# `errors` is how a bad input is said anywhere; the rest is what eval shares with the method.
EVAL_MAY_IMPORT = {
    "errors",
    "files",
    "types",
    "profiles",
    "workspace",
    "frozen",
    "config",
    "variant",
    "tracking",
    "execution",
    "picturebook",  # whose drawn edits examine judges
}
CONSOLE = "lr_edit.cli.console"  # what every command shares
# Who speaks to a terminal.
COMMANDS = ("lr_edit.cli", "eval.external.commands", "benchmarks.cost")
ADAPTERS = ("lr_edit.frozen", "lr_edit.picturebook", "benchmarks.full_size")
# Third-party module -> where alone it may be imported.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "timm": ADAPTERS,
    "open_clip": ADAPTERS,
    "diffusers": ADAPTERS,
    "mlflow": ("lr_edit.tracking",),
    "ray": ("lr_edit.execution.ray",),
    "dvc": (),
    "gradio": ("lr_edit.app",),
    "click": COMMANDS,
    "rich": COMMANDS,
}
# What the method never does for itself: it is handed its parts, and yields what happens.
NOT_IN_THE_METHOD = {"open", "print", "input", "from_pretrained", "getenv", "environ", "getLogger"}
METHOD = {
    "boxes", "edge_boxes", "losses", "choose", "successive_halving", "anchor_net", "learn",
    "learn_amortised", "inpaint", "score", "baselines", "grounding", "saliency", "propose",
    "method",
}  # fmt: skip
VAGUE = {"utils", "util", "misc", "helpers", "common", "base"}
# Called by torch and torchmetrics, whose callers give what they have by position.
BY_POSITION = {"forward", "update"}
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_EDITOR, MOST_NAMES = 300, 60, 60, 12

MODULES = list(modules().values())
FILES = [*MODULES, *map(parsed, sorted((ROOT / "tests").rglob("*.py")))]

each_module = pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
each_file = pytest.mark.parametrize("module", FILES, ids=lambda m: str(m.path))


def part(name: str) -> str:
    """lr_edit.frozen.clip -> frozen; the package itself -> ''."""
    return [*name.split("."), ""][1]


@each_module
def test_no_module_imports_upward(module: Module) -> None:
    package, here = module.name.split(".")[0], part(module.name)
    if not here:
        pytest.skip("the contents page of a package names what it offers")
    layers = {"lr_edit": LAYERS, "eval": EVAL_LAYERS, "benchmarks": BENCHMARK_LAYERS}[package]
    level = next((n for n, names in enumerate(layers) if here in names), None)
    assert level is not None, f"{here} stands in no layer: say which parts it may import"
    allowed = {name for names in layers[:level] for name in names} | {here}
    own = {name for name in project_imports(module.name) if name.startswith(package)}
    assert {part(name) for name in own} <= allowed, f"{module.path} imports upward"
    if package == "eval":
        shared = {name for name in project_imports(module.name) - own if name != CONSOLE}
        assert {part(name) for name in shared} <= EVAL_MAY_IMPORT, f"{module.path}: {shared}"
        assert CONSOLE not in project_imports(module.name) or module.name.startswith(COMMANDS)


@each_module
def test_the_method_never_imports_its_measures(module: Module) -> None:
    package = module.name.split(".")[0]
    named = {name.split(".")[0] for name in imports(module.name)} - {package}
    assert "benchmarks" not in named
    if package == "lr_edit" and part(module.name) != "cli":
        assert "eval" not in named


@each_module
def test_heavy_libraries_stay_behind_their_adapter(module: Module) -> None:
    for name in imports(module.name):
        homes = ONLY_IN.get(name.split(".")[0])
        inside = homes is None or any(f"{module.name}.".startswith(f"{home}.") for home in homes)
        assert inside, f"{module.path} imports {name}; only {homes or 'nobody'} may"


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {name: project_imports(name) - {name} for name in modules()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@each_module
def test_the_method_is_handed_its_parts(module: Module) -> None:
    if module.name.startswith("lr_edit.") and part(module.name) in METHOD:
        names = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
        assert not names & NOT_IN_THE_METHOD
        assert "logging" not in imports(module.name)


@each_module
def test_nothing_prints(module: Module) -> None:
    called = {node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    assert "print" not in {func.id for func in called if isinstance(func, ast.Name)}


@each_file
def test_files_and_functions_stay_short(module: Module) -> None:
    lines = len(module.text.splitlines())
    assert lines <= LONGEST_FILE, f"{module.path} has {lines} lines"
    for function in module.functions:
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= LONGEST_FUNCTION, f"{module.path}: {function.name} has {length} lines"


@each_module
def test_arguments_after_the_second_are_given_by_name(module: Module) -> None:
    for name, function in public_functions(module.tree):
        own = [argument.arg for argument in function.args.posonlyargs + function.args.args]
        own = own[1:] if own[:1] in (["self"], ["cls"]) else own
        short = len(own) <= 2 or function.name in BY_POSITION
        assert short, f"{module.path}: {name}({', '.join(own)}) wants a * after {own[1]}"


def public_functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods that others may call, by their names; what is nested is nobody's."""
    for node in ast.iter_child_nodes(tree):
        name = getattr(node, "name", "_")
        if isinstance(node, ast.FunctionDef) and (name == "__init__" or not name.startswith("_")):
            yield f"{owner}{name}", node
        elif isinstance(node, ast.ClassDef) and not name.startswith("_"):
            yield from public_functions(node, f"{name}.")


def test_the_method_stands_on_one_page() -> None:
    method = modules()["lr_edit.method"]
    assert len(method.text.splitlines()) <= LONGEST_EDITOR


@each_file
def test_no_module_has_a_vague_name(module: Module) -> None:
    assert not VAGUE & set(module.path.with_suffix("").parts)


@each_module
def test_every_module_says_what_it_is_for(module: Module) -> None:
    empty = not module.tree.body
    assert ast.get_docstring(module.tree) or (module.is_package and empty), module.path


@each_module
def test_a_package_page_holds_re_exports_only(module: Module) -> None:
    if not module.is_package:
        return
    names: set[str] = set()
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef):  # a lazy page: PEP 562
            assert node.name in {"__getattr__", "__dir__"}, f"{module.path} defines {node.name}"
        else:
            plain = ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Expr | ast.If
            assert isinstance(node, plain), f"{module.path}:{node.lineno} is no re-export"
    assert len(names) <= MOST_NAMES, f"{module.path} offers {len(names)} names"


@each_module
def test_every_text_file_is_utf_8_by_name(module: Module) -> None:
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        given = ast.unparse(node)
        reads = node.func.attr in ("read_text", "write_text", "open")
        others = re.search(r"Image\.open|open\(.*'[rwax]+b\+?'|/proc/", given)
        assert not reads or others or "utf-8" in given, f"{module.path}:{node.lineno}: {given}"


@each_file
def test_no_except_is_bare(module: Module) -> None:
    handlers = [node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type for handler in handlers), module.path


def test_no_function_is_a_copy_of_another() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for module in MODULES:
        for function in module.functions:
            body = function.body[1:] if ast.get_docstring(function) else function.body
            statements = sum(isinstance(n, ast.stmt) for s in body for n in ast.walk(s))
            if statements >= 4:
                text = "\n".join(ast.dump(statement) for statement in body)
                homes[text].append(f"{module.path}:{function.name}")
    assert not [places for places in homes.values() if len(places) > 1]


def test_no_tracked_file_knows_the_machine_it_was_written_on() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    folders = r"(?<![\w.$}-])/(work|root|home|tmp|Users)/\w"
    registry = "|".join(
        ["index" + "-url", "find" + "-links", "pypi" + r"\.org", '"resolved"' + ":"]
    )
    pattern = re.compile(f"{folders}|{registry}")
    found = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if name.startswith("dvcstore/") or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        found += [f"{name}: {hit.group()}" for hit in pattern.finditer(text)]
    assert not found
