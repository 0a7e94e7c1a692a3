"""A real Ray cluster of this machine: the same bytes as the loop, and nothing lost with a worker,
an item or the head."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from lr_edit.config import load_config
from lr_edit.errors import UserError
from lr_edit.execution.local import Failed
from lr_edit.execution.ray import run_over_ray
from lr_edit.stages import candidates, prepare
from lr_edit.workspace.storage import study_tasks
from tests.source_tree import ROOT
from tests.trouble import KilledOnce, Squares, forbidden


def silent(items: Iterable, label: str, total: int | None = None) -> Iterator:
    yield from items


@pytest.fixture(scope="module")
def head() -> Iterator[psutil.Process]:
    """A cluster that somebody else started, at RAY_ADDRESS; the last test kills it."""
    port = free_port()
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ray") as folder,  # sockets need short paths
    ):
        patch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        words = ["--head", "--block", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=2"]
        process = psutil.Popen(
            [Path(sys.executable).parent / "ray", "start", *words, "--include-dashboard=false"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(lambda: answers(port))
        yield process
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.1)


def outputs(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for part in ("tables", "candidates")
        for path in (root / "artifacts" / part / "dino").iterdir()
    }


@pytest.mark.long
def test_a_bad_item_and_dying_workers_cost_no_other_item(
    tmp_path: Path, head: psutil.Process
) -> None:
    make = Squares(tmp_path, bad=2, once=3, always=5)
    made = dict(run_over_ray(range(8), make, address=os.environ["RAY_ADDRESS"]))
    bad, deadly = made.pop(2), made.pop(5)
    assert isinstance(bad, Failed) and bad.cause == "ValueError: 2 will not do"
    assert "trouble.py" in bad.trace
    assert isinstance(deadly, Failed) and "its worker died" in deadly.cause
    assert made == {item: item * item for item in (0, 1, 3, 4, 6, 7)}


@pytest.mark.long
def test_the_cluster_makes_the_loops_bytes_though_a_worker_is_killed(
    tiny_root: Path, tmp_path: Path, head: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(tiny_root / "params.yaml")
    prepare.run(tiny_root, config)
    candidates.run(tiny_root, config, name="dino", track=silent)
    local = outputs(tiny_root)
    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "other"))

    def execute(items: Iterable, make: Callable) -> Iterator:
        failing = KilledOnce(make, tmp_path, study_tasks(tiny_root)[0].id)
        return run_over_ray(items, failing, address=os.environ["RAY_ADDRESS"])

    candidates.run(tiny_root, config, name="dino", track=silent, execute=execute)
    assert (tmp_path / "killed").exists()
    assert len(local) == 4 and outputs(tiny_root) == local


@pytest.mark.long
def test_without_an_address_this_machine_is_the_cluster_and_a_user_error_ends_the_run() -> None:
    code = """
from lr_edit.execution.ray import run_over_ray
from lr_edit.errors import UserError
from tests.trouble import forbidden
try:
    print(list(run_over_ray([0], forbidden)))
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "0 is not allowed: choose another\n", done.stderr


def test_an_address_where_nobody_answers_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=f"no Ray cluster answers at {address}"):
        list(run_over_ray([0], forbidden, address=address))


@pytest.mark.long
def test_what_was_done_when_the_head_went_away_is_kept(head: psutil.Process) -> None:
    code = """
import os
from pathlib import Path
from lr_edit.execution.ray import run_over_ray
from lr_edit.errors import Unfinished
from tests.trouble import Squares
try:
    make = Squares(Path(), slow=0.5)
    for item, _ in run_over_ray(range(99), make, address=os.environ["RAY_ADDRESS"], patience=1):
        print(item, flush=True)
except Unfinished as error:
    print(error)
"""
    driver = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert driver.stdout.readline().strip().isdigit()
    (server,) = [one for one in head.children() if one.name() == "gcs_server"]
    server.kill()
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 0
    assert "went away; what was finished is kept" in said.splitlines()[-1]
