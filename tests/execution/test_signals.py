"""Interrupted, ended or killed: one sentence, the right exit code, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.source_tree import ROOT

WORK = """
import sys
from pathlib import Path
from lr_edit.cli import main
from lr_edit.execution.local import run_over_cores
from tests.trouble import Squares

@main.cli.command()
def work():
    list(run_over_cores(range(8), Squares(Path(sys.argv[1]), slow=60.0), workers=2))

main.main(["work"])
"""


def stop(folder: Path, which: signal.Signals, *, group: bool) -> tuple[int, str, float]:
    """Exit code, what was said, and seconds until the process and all its children are gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(folder)], cwd=ROOT, start_new_session=True,
        stderr=subprocess.PIPE, text=True,
        # A job of a shell's background ignores it, and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    own = psutil.Process(process.pid)
    while len(below := own.children(recursive=True)) < 3:  # two workers and Python's tracker
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2.0)
    start = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, which)
    _, alive = psutil.wait_procs(below, timeout=10)
    said = process.communicate(timeout=10)[1]
    assert not alive, alive
    return process.returncode, said, time.monotonic() - start


@pytest.mark.parametrize(
    ("which", "group", "code"),
    [
        (signal.SIGINT, True, 130),
        pytest.param(signal.SIGTERM, False, 143, marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, False, -9, marks=pytest.mark.long),
    ],
)
def test_workers_end_with_who_wants_their_work(
    tmp_path: Path, which: signal.Signals, group: bool, code: int
) -> None:
    ended, said, seconds = stop(tmp_path, which, group=group)
    assert ended == code
    sentence = "lr-edit: stopped; what was finished is kept, run again for the rest"
    assert code < 0 or said.strip() == sentence
    assert seconds < 5, seconds
