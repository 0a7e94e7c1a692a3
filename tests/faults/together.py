"""What other processes do to a run: a second `dvc repro`, a server that dies, a killed worker."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree  # of a file that pytest writes here

import psutil
from mlflow import MlflowClient

from lr_edit.tracking.publish import publish
from lr_edit.tracking.rows import read_rows
from lr_edit.tracking.ui import server
from tests.faults.trials import Line, digests, end, fork
from tests.finished_study import make_study
from tests.source_tree import ROOT
from tests.test_pipeline import dvc, make_project, start_dvc
from tests.tiny import write_models
from tests.tracking.test_publish import free_port

MOST = 15.0  # seconds that a dead server may cost
SUITES = {  # what has its own trials in the suite: name -> their file
    "Ctrl-C, SIGTERM and SIGKILL with workers": "tests/execution/test_signals.py",
    "killed workers and raising items on this machine": "tests/execution/test_local.py",
    "Ray: killed workers, raising items, a lost head": "tests/execution/test_ray.py",
    "NaN and black pictures": "tests/test_failed_candidates.py",
}


def try_two_repros(top: Path) -> Line:
    """Two `dvc repro` of one checkout: one goes on, and what it makes is what one alone makes."""
    models = top / "repro-models"
    write_models(models)
    homes = [top / name for name in ("alone", "shared")]
    for home in homes:
        home.mkdir()
    alone, shared = (make_project(home / "project", models) for home in homes)
    dvc(alone, "repro")
    pair = [start_dvc(shared, "repro") for _ in range(2)]
    said = [process.communicate(timeout=1200)[0] for process in pair]
    codes = sorted(process.returncode for process in pair)
    refused = all("lock" in text.lower() for text, one in zip(said, pair, strict=True)
                  if one.returncode)  # fmt: skip
    dvc(shared, "repro")
    good = codes[0] == 0 and refused and _results(alone) == _results(shared)
    return Line("two `dvc repro` at once", 1, int(good), int(not good), f"exit codes {codes}")


def _results(root: Path) -> list[dict[str, str]]:
    """What a study leaves."""
    return [digests(root / folder) for folder in ("artifacts", "reports")]


def try_dying_mlflow(top: Path, *, times: int, rng: random.Random) -> Line:
    """A real server that is killed half way: a sentence in time, and the next publish has all."""
    lost, longest, took, hit = 0, 0.0, 0.0, 0
    for n in range(times + 1):  # the first is left alone: it says how long publishing takes
        root = top / f"dying-{n}"
        make_study(root, {"learned": {"learner": "exact"}, "untrained": {}}, tasks=1)
        store, port = root / "server", free_port()
        store.mkdir()
        uri = f"sqlite:///{store}/mlflow.db"
        with server(uri, folder=store, port=port) as address:
            start = time.monotonic()
            pid = fork(root, _publisher(address))
            if n == 0:
                end(pid)
                took = time.monotonic() - start
                continue
            time.sleep(rng.uniform(0, took))
            _kill_listeners(port)
            killed = time.monotonic()
            code = end(pid)
            seconds = time.monotonic() - killed
        longest, hit = max(longest, seconds), hit + (code == 1)
        with server(uri, folder=store, port=port) as address:
            again = publish(root, tracking_uri=address)
            client = MlflowClient(address)
            names = [one.experiment_id for one in client.search_experiments()]
            current = [run for run in client.search_runs(names)
                       if run.data.tags.get("current") == "true"]  # fmt: skip
        whole = again.warning is None and len(current) == len(read_rows(root))
        lost += code not in (0, 1) or seconds > MOST or not whole
    note = f"{hit} while at work, at most {longest:.1f} s more"
    return Line("MLflow dying half way", times, times - lost, lost, note)


def _publisher(address: str) -> Callable[[Path], int]:
    return lambda root: int(publish(root, tracking_uri=address).warning is not None)


def _kill_listeners(port: int) -> None:
    """kill -9 of every process of the server: they hold its address in their command."""
    for process in psutil.process_iter(["cmdline"]):
        if str(port) in (process.info["cmdline"] or []) and process.pid != os.getpid():
            for one in (*process.children(recursive=True), process):
                one.send_signal(signal.SIGKILL)


def try_suites() -> list[Line]:
    """Trials that the test suite makes, counted."""
    lines = []
    for what, path in SUITES.items():
        with tempfile.NamedTemporaryFile(suffix=".xml") as file:
            words = ["-q", "-p", "no:cacheprovider", "-m", "slow or not slow", path]
            subprocess.run(
                [sys.executable, "-m", "pytest", *words, f"--junitxml={file.name}"],
                cwd=ROOT, capture_output=True, check=False,
            )  # fmt: skip
            suite = next(ElementTree.parse(file.name).getroot().iter("testsuite"))
        tried, lost, skipped = (
            sum(int(suite.attrib[name]) for name in names)
            for names in (("tests",), ("failures", "errors"), ("skipped",))
        )
        lines.append(
            Line(what, tried - skipped, tried - skipped - lost, lost, f"tests of `{path}`")
        )
    return lines
