"""Disks, caches and neighbours that misbehave, one function a line of the report."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lr_edit.cli.doctor import damaged_objects
from lr_edit.tracking.publish import publish
from lr_edit.tracking.rows import read_rows
from tests.faults.trials import STAGES, Line, begin, digests, end, fork, remove
from tests.finished_study import make_study
from tests.tiny import run

ROOM = [n * 2**20 for n in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)]  # bytes beyond what there is
STUDY = {"learned": {"learner": "exact"}, "untrained": {}}


def try_full_disk(base: Path) -> list[Line]:
    """A file may hold so many bytes: a larger one cannot be written, as on a disk that is full."""

    def limited(root: Path, *, words: list[str], most: int) -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        reading = _hear()  # a log would be cut short, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        return _judged(run(root, "stage", *words), reading)

    lines = []
    for stage in ("prepare", "candidates", "train", "edit"):
        words, out = STAGES[stage]
        root, lost, codes = base.parent / "full", 0, set()
        for most in (0, 100, 3000):
            _fresh(base, root, out)
            codes.add(end(fork(root, partial(limited, words=words, most=most))))
            again = end(begin(root, words))
            lost += bool(again or digests(root / out) != digests(base / out))
        lost += codes != {1}
        lines.append(Line(f"disk full in `{stage}`", 3, 3 - lost, lost, f"exit codes {codes}"))
    return lines


def try_read_only(base: Path) -> list[Line]:
    """Folders that nobody may write into, though a process be root's: one sentence, all kept."""

    def barred(root: Path, *, words: list[str]) -> int:
        _give_up_override()
        reading = _hear()
        return _judged(run(root, "stage", *words), reading)

    lines = []
    for stage in ("prepare", "candidates", "train", "edit", "evaluate", "report"):
        words, out = STAGES[stage]
        root = base.parent / "barred"
        _fresh(base, root, out)
        places = [root, *(at for at in root.rglob("*") if at.is_dir() and not at.is_symlink())]
        before = digests(root)
        for place in places:
            place.chmod(0o555)
        code = end(fork(root, partial(barred, words=words)))
        kept = digests(root) == before
        for place in places:
            place.chmod(0o755)
        again = end(begin(root, words))
        good = code == 2 and kept and not again and digests(root / out) == digests(base / out)
        note = f"exit code {code}"
        lines.append(Line(f"read-only folders in `{stage}`", 1, int(good), int(not good), note))
    return lines


def try_full_memory(base: Path) -> list[Line]:
    """A process may take so many bytes more than it has: whoever wants more is told that there are
    none. It ends with one sentence, or, where it gets by with less, with the same bytes."""

    def limited(root: Path, *, words: list[str], more: int) -> int:
        reading = _hear()
        most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        return _judged(run(root, "stage", *words), reading)

    lines = []
    for stage, (words, out) in STAGES.items():
        root, lost, codes = base.parent / "narrow", 0, Counter[int]()
        for more in ROOM:
            _fresh(base, root, out)
            code = end(fork(root, partial(limited, words=words, more=more)))
            codes[code] += 1
            again = end(begin(root, words))
            same = not again and digests(root / out) == digests(base / out)
            lost += code not in (0, 1) or not same
        note = ", ".join(f"exit code {code} {n} times" for code, n in sorted(codes.items()))
        lines.append(Line(f"out of memory in `{stage}`", len(ROOM), len(ROOM) - lost, lost, note))
    return lines


def _hear() -> int:
    """What this process says from now on, to be read from here."""
    reading, writing = os.pipe()
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(writing, number)  # Python's own would seek in it, as in the file that it was
        setattr(sys, name, os.fdopen(number, "w", buffering=1, closefd=False))
    return reading


def _judged(code: int, reading: int) -> int:
    """An exit code; 99 where it was said like a defect."""
    os.write(2, b"\n")  # so that there is something to read
    said = os.read(reading, 2**16)
    return 99 if b"Traceback" in said or b"defect of ours" in said else code


def _give_up_override() -> None:
    """This process obeys the permissions of files from now on, root's too (Linux: CAP_DAC_*)."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(head, sets):
        raise OSError(ctypes.get_errno(), "capget")
    sets[0] &= ~0b1110  # effective: DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER
    if libc.capset(head, sets):
        raise OSError(ctypes.get_errno(), "capset")


def try_removed_and_flipped_cache(base: Path, rng: random.Random) -> list[Line]:
    """Of the cache: all of it gone, or one bit of each of its files another one."""
    lines = []
    for what, harm in {"removed": _remove, "a flipped bit in each file of": _flip}.items():
        words, out = STAGES["candidates"]
        root = base.parent / "cached"
        _fresh(base, root, out)
        end(begin(root, words))
        harm(root.parent / f"{root.name}-cache", rng)
        remove(root / out)
        code = end(begin(root, words))
        good = not code and digests(root / out) == digests(base / out)
        lines.append(Line(f"{what} the cache", 1, int(good), int(not good)))
    return lines


def try_flipped_store(top: Path, rng: random.Random) -> Line:
    """Of DVC's cache and the bundled store: one bit of an object."""
    lost = 0
    for _ in range(20):
        home = top / "objects" / rng.choice([".dvc/cache/files/md5", "dvcstore/files/md5"])
        content = rng.randbytes(50)
        name = hashlib.md5(content).hexdigest()
        path = home / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        lost += damaged_objects(top / "objects") != [path]
        path.unlink()
    return Line("a flipped bit in DVC's cache or store, for `doctor`", 20, 20 - lost, lost)


def try_concurrently(base: Path) -> list[Line]:
    """Two of a stage at once, and four that publish first."""
    lines = []
    for stage in ("candidates", "train", "evaluate"):
        words, out = STAGES[stage]
        root = base.parent / "twice"
        _fresh(base, root, out)
        pids = [begin(root, words) for _ in range(2)]
        codes = [end(pid) for pid in pids]
        again = end(begin(root, words))
        good = not again and digests(root / out) == digests(base / out)
        note = f"exit codes {sorted(codes)}, then {again}"
        lines.append(Line(f"two `{stage}` at once", 1, int(good), int(not good), note))
    root = base.parent / "four"
    make_study(root, STUDY, tasks=1)
    pids = [fork(root, lambda root: int(publish(root).warning is not None)) for _ in range(4)]
    codes = [end(pid) for pid in pids]
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        runs = database.execute("select count(*) from runs").fetchone()[0]
    good = not any(codes) and runs == len(read_rows(root))
    lines.append(Line("four first publishers", 1, int(good), int(not good), f"{runs} runs"))
    return lines


def try_mlflow(top: Path) -> list[Line]:
    """A server that refuses, hangs, answers 500 or dies: one sentence, and the seconds it costs."""
    root = top / "served"
    make_study(root, STUDY, tasks=1)
    hanging, broken = socket.create_server(("127.0.0.1", 0)), _Broken.serve()
    stores = {
        "refusing": "http://127.0.0.1:1",
        "hanging": f"http://127.0.0.1:{hanging.getsockname()[1]}",
        "answering 500": f"http://127.0.0.1:{broken.server_port}",
        "without a driver": "postgresql://me:s3cret@localhost/x",
    }
    lines = []
    for name, uri in stores.items():
        start = time.monotonic()
        said = publish(root, tracking_uri=uri).warning or ""
        seconds = time.monotonic() - start
        good = bool(said) and "s3cret" not in said and seconds < 15
        lines.append(Line(f"MLflow {name}", 1, int(good), int(not good), f"{seconds:.1f} s"))
    hanging.close()
    broken.shutdown()
    return lines


class _Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...

    @classmethod
    def serve(cls) -> ThreadingHTTPServer:
        """On a free port, until it is shut down."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), cls)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


def _fresh(base: Path, root: Path, out: str) -> None:
    """A copy of the finished study without what a stage writes, and without a cache."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(root.parent / f"{root.name}-cache", ignore_errors=True)
    shutil.copytree(base, root, symlinks=True)
    (root.parent / "log").unlink(missing_ok=True)
    remove(root / out)


def _remove(cache: Path, _rng: random.Random) -> None:
    shutil.rmtree(cache)


def _flip(cache: Path, rng: random.Random) -> None:
    for path in cache.rglob("*"):
        if path.is_file() and path.stat().st_size:
            os.chmod(path, 0o644)
            data = bytearray(path.read_bytes())
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
