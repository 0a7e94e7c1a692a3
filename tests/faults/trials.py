"""A small study on real adapters, and single stages of it in forked processes that may be killed.

This process imports everything once; a child is a fork of it that does a stage's own work, so that
a random moment is one of the work and not of the imports.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.source_tree import ROOT
from tests.tiny import VARIANTS, run, write_models, write_root

SETS = ("dino", "dino-random")
STAGES: dict[str, tuple[list[str], str]] = {  # words, what it writes
    "prepare": (["prepare"], "artifacts/tasks"),
    "candidates": (["candidates", "--proposals", "dino"], "artifacts/tables/dino"),
    "judge": (["judge", "--proposals", "dino"], "artifacts/judge/dino"),
    "train": (["train", "--variant", "learned"], "artifacts/nets/learned"),
    "edit": (["edit", "--variant", "learned"], "artifacts/edits/learned"),
    "evaluate": (["evaluate", "--variant", "learned"], "artifacts/scores/learned.csv"),
    "ablate": (["ablate"], "artifacts/ablations.json"),
    "report": (["report"], "reports"),
}
ENOUGH = 300.0  # seconds after which a child hangs


@dataclass(frozen=True)
class Line:
    """One line of the report: what was tried how often, and how it ended."""

    what: str
    tried: int
    survived: int
    lost: int
    note: str = ""


def make_base(top: Path) -> Path:
    """TOP/base: a study of which every stage was run undisturbed."""
    import matplotlib.pyplot  # noqa: F401  whatever a stage imports itself is imported here

    Image.init()
    models, root = top / "models", top / "base"
    write_models(models)
    root.mkdir()
    write_root(root, models)
    shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml")
    every = [["prepare"]]
    for stage in ("candidates", "judge"):
        every += [[stage, "--proposals", name] for name in SETS]
    for stage in ("train", "edit", "evaluate"):
        every += [[stage, "--variant", name] for name in VARIANTS]
    for words in [*every, ["ablate"], ["report"]]:
        code = end(begin(root, words))
        if code:
            raise SystemExit(f"{words}: exit code {code}\n{(top / 'log').read_text()[-2000:]}")
    return root


def fork(root: Path, work: Callable[[Path], int | None]) -> int:
    """The process id of a child that does `work` in `root`, with a cache beside it."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(root)
        os.environ["LR_EDIT_CACHE"] = str(root.parent / f"{root.name}-cache")
        os.setsid()
        sink = os.open(root.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        code = work(root) or 0
    finally:
        os._exit(code)


def begin(root: Path, words: list[str]) -> int:
    """The process id of a child that runs a stage in `root`."""
    return fork(root, lambda root: run(root, "stage", *words))


def end(pid: int) -> int:
    """The exit code of a child; one that hangs is killed, which is -9."""
    start = time.monotonic()
    while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() - start > ENOUGH:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(done[1])


def kill_after(pid: int, seconds: float) -> bool:
    """Whether the child was still at work when it was killed."""
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return end(pid) == -signal.SIGKILL


def remove(place: Path) -> None:
    """What a stage wrote."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def digests(place: Path) -> dict[str, str]:
    """Path -> digest of every file below a folder, or of one file; seconds are not compared."""
    paths = sorted(place.rglob("*")) if place.is_dir() else [place]
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and "times" not in path.name
    }
