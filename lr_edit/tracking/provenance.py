"""Where results were published from: the commit, whether sources differ from it, the device.

Read from git and from the driver's own files: no framework is loaded for it.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from lr_edit.workspace.paths import checkout

_DRIVER = Path("/proc/driver/nvidia")
# Written by the pipeline itself: a difference there is a result, not a changed source.
_WRITTEN = (":(exclude,glob)**/dvc.lock", ":(exclude)reports", ":(exclude)README.md")


def describe(root: Path) -> dict[str, str]:
    """commit, dirty, device, driver, and DVC's experiment ("workspace" if there is none)."""
    top = checkout(root)
    changed = _git(top, "status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN)
    return {
        "commit": _git(root, "rev-parse", "HEAD") or "unknown",
        "dirty": "unknown" if changed is None else str(bool(changed)).lower(),
        "device": _gpu() or f"cpu, {os.cpu_count()} cores, {platform.machine()}",
        "driver": _first_line(_DRIVER / "version") or "none",
        "experiment": os.environ.get("DVC_EXP_NAME", "workspace"),
    }


def _git(root: Path, *words: str) -> str | None:
    """What git says, or None where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _gpu() -> str | None:
    for path in sorted(_DRIVER.glob("gpus/*/information")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.removeprefix("Model:").strip()
    return None


def _first_line(path: Path) -> str | None:
    return (
        path.read_text(encoding="utf-8", errors="replace").splitlines()[0]
        if path.is_file()
        else None
    )
