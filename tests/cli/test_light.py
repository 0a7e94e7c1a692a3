"""Importing the package, asking for help and a word mistyped pull in nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "torchvision",
    "diffusers",
    "gradio",
    "transformers",
    "timm",
    "open_clip",
    "mlflow",
    "ray",
    "scipy",
    "matplotlib",
}

IMPORT = "import lr_edit, lr_edit.types, lr_edit.config, lr_edit.workspace.storage"
HELP = """
import sys
from lr_edit.cli.main import main
sys.argv = ["lr-edit", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`."""
    report = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_stays_light() -> None:
    assert not loaded_after(IMPORT) & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([name, "--help"] for name in ("stage", "edit", "app", "score", "evaluate"))],
)
def test_help_stays_light(arguments: list[str]) -> None:
    assert not loaded_after(HELP.format(arguments=arguments)) & HEAVY


TYPED = """
import resource
from lr_edit.cli.main import main
try:
    main({arguments!r})
except SystemExit as stop:
    assert stop.code == 2, stop.code
assert resource.getrusage(resource.RUSAGE_SELF).ru_utime < 1.5
"""
WORDS = ["--source", "a boat", "--prompt", "a fish"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["edit", "x.png", *WORDS, "--mode", "grunded"],
        ["edit", "no-such.png", *WORDS],
        ["trace", "lerned", "success"],
        ["stage", "candidates", "--proposals", "dinno"],
        ["score", "no-such.png", "no-such.png"],
    ],
    ids=lambda words: words[0],
)
def test_a_word_mistyped_is_told_before_anything_heavy_is_loaded(arguments: list[str]) -> None:
    assert not loaded_after(TYPED.format(arguments=arguments)) & HEAVY
