"""`mlflow server` over a checkout's store, as a child process that ends with its caller."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from lr_edit.errors import UserError

HOST = "127.0.0.1"
# Job execution brings six more processes, and nothing here runs jobs.
SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@contextmanager
def server(store: str, *, folder: Path, port: int, patience: float = 240.0) -> Iterator[str]:
    """A running server's address; `store` is the database's URI, `folder` its working directory."""
    if _taken(port):
        raise UserError(f"port {port} is in use: pass another one with --port")
    words = ["--backend-store-uri", store, "--host", HOST, "--port", str(port), "--workers", "1"]
    child = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *words],
        cwd=folder,
        env={**os.environ, **SETTINGS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://{HOST}:{port}"
        _await(address, child, patience)
        yield address
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until_interrupted() -> None:
    """Return at Ctrl-C or when asked to terminate, so that children are ended too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _await(address: str, child: subprocess.Popen, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if child.poll() is not None:
            raise UserError(f"mlflow server ended at once (exit code {child.returncode})")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise UserError(f"mlflow server did not answer at {address} within {patience:.0f} s")
