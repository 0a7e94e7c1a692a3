"""Many edits by one process: neither memory nor open files may grow."""

from __future__ import annotations

from pathlib import Path

import psutil

from lr_edit import Editor
from lr_edit.config import load_config
from lr_edit.frozen.models import load_models
from lr_edit.picturebook.tasks import make_task
from lr_edit.picturebook.world import draw
from tests.faults.trials import Line
from tests.tiny import write_models, write_root

WARM = 50  # edits after which nothing may grow any more
MOST = 0.05


def edit_often(top: Path, *, times: int) -> Line:
    """Edits, each of another picture, with `Editor` on small models: read, edited, saved."""
    root = top / "soak"
    root.mkdir()
    write_models(top / "soak-models")
    write_root(root, top / "soak-models")
    config = load_config(root / "params.yaml")
    editor = Editor(config, load_models(root, config.models, device="cpu"), root=root)
    process, seen = psutil.Process(), {}
    for n in range(times):
        task, before, _ = make_task("replace", "train", index=n)
        result = editor(draw(before), source=task.source, prompt=task.prompt, seed=n)
        result.save(root / "edit.png", overwrite=True)
        if n + 1 in (WARM, times):
            seen[n + 1] = process.memory_info().rss / 2**20, process.num_fds()
    (before_mib, before_files), (mib, files) = seen[min(WARM, times)], seen[times]
    grown = mib > before_mib * (1 + MOST) or files > before_files
    slope = (mib - before_mib) / max(times - WARM, 1) * 100
    note = (
        f"{before_mib:.0f} MiB and {before_files} open files after {min(WARM, times)}, "
        f"{mib:.0f} and {files} at the end: {slope:+.2f} MiB in 100 edits"
    )
    return Line("edits by one process", times, 0 if grown else times, times if grown else 0, note)
