"""What SECURITY.md promises of the code as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from lr_edit.tracking.ui import HOST
from tests.source_tree import ROOT, modules

MODULES = list(modules().values())
# Calls that run what they read, unless they are told not to.
RUNS_CODE = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_nothing_that_is_read_can_run(module) -> None:
    refused = module.text.count('"trust_remote_code": False')
    assert module.text.count("trust_remote_code") == refused
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert name not in RUNS_CODE, f"{module.path}:{node.lineno}"
        assert not re.match(
            r"(pickle|marshal|shelve|dill)\.|os\.system|yaml\.(unsafe_)?load$", name
        )
        if name == "torch.load":
            assert options.get("weights_only") == "True", f"{module.path}:{node.lineno}"
        assert options.get("shell") != "True", f"{module.path}:{node.lineno}"


def test_the_comparison_listens_on_this_machine_alone() -> None:
    assert HOST == "127.0.0.1"


def test_every_promise_names_a_test_that_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert named and not [name for name in named if not (ROOT / name).is_file()]


def test_bandit_finds_nothing() -> None:
    words = [
        "-m",
        "bandit",
        "-q",
        "-ll",
        "-c",
        "pyproject.toml",
        "-r",
        "lr_edit",
        "eval",
        "benchmarks",
    ]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
