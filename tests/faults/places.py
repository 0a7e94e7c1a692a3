"""Checkouts in folders of any name, and one whose git rewrites the ends of lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.faults.trials import Line
from tests.source_tree import ROOT

NAMES = ("a b", "a#b", "a%20b", "a?b", "it's", 'quo"te', "äöü字", "a;b", "a&b", "$HOME", "-a")
# What a newcomer types first; the edit is by the bundled weights, on a bundled picture.
COMMANDS = (
    ["dvc", "pull", "--quiet", "data.dvc", "models.dvc"],
    ["lr-edit", "doctor"],
    ["lr-edit", "edit", "data/images/eval-006.png", "--source", "a yellow boat", "--prompt",
     "a red cup on grass", "--budget", "10", "--output", "out"],
    ["lr-edit", "publish"],
    ["lr-edit", "publish"],  # which adds nothing
    ["dvc", "status", "--quiet", "data.dvc", "models.dvc"],
)  # fmt: skip


def try_places(top: Path) -> Iterator[Line]:
    """The first commands in clones of this checkout, by the real `dvc` and `lr-edit`."""
    for name in NAMES:
        yield _line(f"a checkout in `{name}`", top / "places" / name, [])
    yield _line("a checkout by git with `core.autocrlf`", top / "crlf", ["core.autocrlf=true"])


def _line(what: str, root: Path, settings: list[str]) -> Line:
    root.parent.mkdir(parents=True, exist_ok=True)
    options = [word for one in settings for word in ("-c", one)]
    clone = ["git", *options, "clone", "-q", "--no-hardlinks", f"{ROOT}", f"{root}"]
    subprocess.run(clone, check=True, capture_output=True)
    bad = [said for words in COMMANDS if (said := _run(root, words))]
    tried = len(COMMANDS)
    return Line(what, tried, tried - len(bad), len(bad), "; ".join(bad))


def _run(root: Path, words: list[str]) -> str:
    """Nothing where a command ends well, else what it was and the last that it said."""
    tools = Path(sys.executable).parent
    own = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(root)}
    own |= {"LR_EDIT_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=root, env={**os.environ, **own}, text=True, capture_output=True, check=False
    )
    last = (done.stdout + done.stderr).strip().splitlines()[-1:] or [""]
    fine = done.returncode == 0 and "Traceback" not in done.stderr
    return "" if fine else f"`{' '.join(words[:2])}` ended with {done.returncode}: {last[0][:200]}"
