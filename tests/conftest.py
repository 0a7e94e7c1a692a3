"""What every test may rely on: one thread, no network, no display, no telemetry, fixed draws.

Set before torch, matplotlib or mlflow is imported; command-line tests inherit it.
"""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    MPLBACKEND="Agg",
    MLFLOW_DISABLE_TELEMETRY="true",
    DVC_NO_ANALYTICS="true",
    NO_COLOR="1",
)

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
