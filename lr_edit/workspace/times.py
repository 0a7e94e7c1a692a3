"""How long stages took: lines of artifacts/times.jsonl, which no lock hashes."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

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
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(taken)) + "\n")


def read_times(root: Path) -> list[StageTime]:
    """The last run of every stage, the longest first; lines that are none are passed over."""
    found: dict[str, StageTime] = {}
    path = root / _FILE
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = StageTime(**json.loads(line))
        except (ValueError, TypeError):  # cut by a kill
            continue
        found[row.stage] = row
    return sorted(found.values(), key=lambda row: -row.seconds)


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
