"""How long stages took: lines of artifacts/times.jsonl, which no lock hashes.

`make push` puts them into reports/ beside the study's numbers: a clone knows what it cost.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lr_edit.workspace.paths import reports_folder

_FILE = "artifacts/times.jsonl"


@dataclass(frozen=True)
class StageTime:
    """A run of a stage: seconds of its process so far, the device, and the most memory, in bytes,
    that one of its processes held. `restored`: nothing was made."""

    stage: str
    seconds: float
    device: str
    memory: int
    restored: bool


def write_time(root: Path, stage: str, *, restored: bool) -> None:
    """Write down what this process took."""
    most = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    taken = StageTime(
        stage=stage,
        seconds=round(time.time() - psutil.Process().create_time(), 2),
        device=_device(),
        memory=most * (1 if sys.platform == "darwin" else 1024),
        restored=restored,
    )
    path = root / _FILE
    with suppress(OSError):  # a disk that may not be written: the outputs are there all the same
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(taken)) + "\n")


@dataclass(frozen=True)
class Costs:
    """What a row's stages took together: `seconds`, `memory_mib` of the one that held the most, and
    the device; empty where nobody wrote it down."""

    numbers: dict[str, float]
    device: str | None


def read_times(root: Path) -> list[StageTime]:
    """The last run of every stage, the longest first."""
    return sorted({row.stage: row for row in _lines(root)}.values(), key=lambda row: -row.seconds)


def read_costs(root: Path, stages: Iterable[str]) -> Costs:
    """What these stages took when they last made something, not when a cache gave it back."""
    made = {row.stage: row for row in _lines(root) if not row.restored}
    rows = [made[stage] for stage in stages if stage in made]
    if not rows:
        return Costs({}, None)
    devices = sorted({row.device for row in rows} - {"cpu"}) or ["cpu"]
    most = max(row.memory for row in rows) / 2**20
    return Costs({"seconds": sum(row.seconds for row in rows), "memory_mib": most},
                 ", ".join(devices))  # fmt: skip


def _lines(root: Path) -> Iterator[StageTime]:
    """This checkout's own runs, else the committed study's; lines that are none are passed over."""
    places = [root / _FILE, reports_folder(root) / "times.jsonl"]
    path = next((one for one in places if one.is_file()), None)
    for line in path.read_text(encoding="utf-8").splitlines() if path else []:
        try:
            yield StageTime(**json.loads(line))
        except (ValueError, TypeError):  # cut by a kill
            continue


def format_times(rows: list[StageTime]) -> str:
    """A table for people: where the time went, and the total."""
    lines = [
        f"{row.seconds:9.1f} s  {row.memory / 2**20:7.0f} MiB  {row.device:8}  {row.stage}"
        + ("  (restored)" if row.restored else "")
        for row in rows
    ]
    return "\n".join([*lines, f"{sum(row.seconds for row in rows):9.1f} s  all stages"])


def _device() -> str:
    """The GPU that this process used, or the CPU; torch is asked where somebody imported it."""
    torch = sys.modules.get("torch")
    used = torch and torch.cuda.is_available() and torch.cuda.is_initialized()
    return torch.cuda.get_device_name() if torch and used else "cpu"
