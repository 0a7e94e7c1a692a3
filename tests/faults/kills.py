"""kill -9 at random moments: of each kind of stage, and of the first publish."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from pathlib import Path

from lr_edit.tracking.publish import publish
from tests.faults.trials import STAGES, Line, begin, digests, end, fork, kill_after, remove
from tests.finished_study import make_study


def kill_stage(base: Path, stage: str, *, times: int, rng: random.Random) -> Line:
    """Killed, then run again: it ends well, with the bytes of an undisturbed run."""
    words, out = STAGES[stage]
    lost, hit = [], 0
    took = 0.0
    for n in range(times + 1):  # the first is not killed: it says how long the work takes
        root = base.parent / f"killed-{stage}"
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(f"{root}-cache", ignore_errors=True)
        shutil.copytree(base, root, symlinks=True)
        remove(root / out)
        start = time.monotonic()
        pid = begin(root, words)
        if n == 0:
            end(pid)
            took = time.monotonic() - start
            continue
        hit += kill_after(pid, rng.uniform(0, took))
        code = end(begin(root, words))
        if code or digests(root / out) != digests(base / out):
            lost.append(n)
    shutil.rmtree(base.parent / f"killed-{stage}", ignore_errors=True)
    return Line(f"kill -9 of `{stage}`", times, times - len(lost), len(lost),
                f"{hit} while at work, which takes {took:.1f} s")  # fmt: skip


def kill_first_publish(top: Path, *, times: int, rng: random.Random) -> Line:
    """Killed at any moment of the first publish: the next one succeeds and shows every variant."""
    lost, hit, took = [], 0, 0.0
    for n in range(times + 1):
        root = top / f"publish-{n}"
        make_study(root, {"learned": {"learner": "exact"}}, tasks=1)
        start = time.monotonic()
        pid = fork(root, lambda root: int(publish(root).warning is not None))
        if n == 0:
            end(pid)
            took = time.monotonic() - start
            made = root / "mlflow.db"
            continue
        hit += kill_after(pid, rng.uniform(0, took))
        whole = not (root / "mlflow.db").exists() or _is_whole(root / "mlflow.db")
        if not (root / "mlflow.db").exists() and n % 4:
            shutil.copyfile(made, root / "mlflow.db")  # migrating anew shows nothing new
            _forget(root / "mlflow.db")
        code = end(fork(root, lambda root: int(publish(root).warning is not None)))
        if code or not whole or not _is_whole(root / "mlflow.db"):
            lost.append(n)
        shutil.rmtree(root)
    return Line("kill -9 of the first `publish`", times, times - len(lost), len(lost),
                f"{hit} while at work, which takes {took:.1f} s")  # fmt: skip


def _is_whole(path: Path) -> bool:
    with sqlite3.connect(path) as database:
        names = [name for (name,) in database.execute("select name from sqlite_master")]
        checked = database.execute("pragma integrity_check").fetchone() == ("ok",)
        return checked and "runs" in names and not any("_alembic_tmp" in name for name in names)


def _forget(path: Path) -> None:
    """Leave MLflow's empty database, as it is just after it was made."""
    with sqlite3.connect(path) as database:
        for table in ("latest_metrics", "metrics", "params", "tags", "runs", "experiment_tags"):
            database.execute(f"delete from {table}")
        database.execute("delete from experiments where experiment_id > 0")
