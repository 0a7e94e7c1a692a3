"""Seconds and memory of a run, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from lr_edit.execution.environment import choose_device

Run = Callable[[], Any]


def seconds_of(run: Run) -> float:
    """Wall-clock seconds of a run, the device's queue included."""
    _wait()
    start = time.perf_counter()
    run()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def reset_peak(device: str) -> int:
    """Measure the peak from here on; returns the bytes that are held now."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    with suppress(OSError):  # no Linux, or one that does not let us
        Path("/proc/self/clear_refs").write_text("5")
    return _kilobytes("VmRSS") * 1024


def peak(device: str) -> int:
    """Bytes: of the GPU's allocator, or of this process since the last reset (Linux)."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return _kilobytes("VmHWM") * 1024


def _kilobytes(name: str) -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(x for x in status.read_text(encoding="utf-8").splitlines() if x.startswith(name))
    return int(line.split()[1])


def matmul_rate() -> float:
    """FLOP/s of the best of ten square products: fp16 on a GPU, fp32 on a CPU."""
    device = choose_device()
    side, kind = (8192, torch.float16) if device == "cuda" else (2048, torch.float32)
    a = torch.rand(side, side, device=device, dtype=kind)
    return 2 * side**3 / min(seconds_of(lambda: a @ a) for _ in range(10))


def hardware(device: str) -> str:
    """The device, without the name of the machine."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info, name = Path("/proc/cpuinfo"), platform.machine()
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if "model name" in x), name)
    return f"{name}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
