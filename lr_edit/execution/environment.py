"""What a process fixes before torch is imported: instruction sets, threads, no downloads; and the
device that it then computes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# One instruction set and one summation order: the same bytes on every run of a machine, and with
# one thread, whatever the number of its cores.
_PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",  # what is cut of a text, a sentence of ours says
    # Of processes that this one starts (glibc): freed memory is kept, so that a large tensor does
    # not cost its pages anew at every operation.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def pin_environment(*, one_thread: bool = False) -> None:
    """Before torch is imported: fix instruction sets, and let no run download anything.

    What the user has set stays. `lr-edit models pull` is the one command that downloads.
    """
    for key, value in (_PINNED | (ONE_THREAD if one_thread else {})).items():
        os.environ.setdefault(key, value)


def pinned_environment() -> dict[str, str]:
    """What is fixed in this process, for others that are to compute the same bytes."""
    return {key: os.environ[key] for key in _PINNED if key in os.environ}


@contextmanager
def plain_torch(device: str = "cpu") -> Iterator[None]:
    """PyTorch as a fresh process has it, whatever the program that calls has set: float32 and the
    CPU unless a tensor says otherwise, no autocast, gradients as asked for."""
    import torch

    kind, before = torch.device(device).type, torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.device("cpu"),
            torch.autocast("cpu", enabled=False),
            torch.autocast(kind, enabled=False),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        torch.set_default_dtype(before)


def choose_device() -> str:
    """A GPU if there is one."""
    import torch  # after the environment is pinned

    return "cuda" if torch.cuda.is_available() else "cpu"
