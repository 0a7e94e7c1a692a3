"""Importing the package and asking for help pull in nothing heavy."""

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
