"""What every test may rely on: shapes and types are checked, one thread, no network, no display,
no telemetry, fixed draws.

Set before torch, matplotlib or mlflow is imported; command-line tests inherit the environment.
"""

from __future__ import annotations

import os

from hypothesis import settings
from jaxtyping import install_import_hook

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

# Every annotated function runs under beartype. PEP 484: an int is a float where one is asked for.
install_import_hook(
    ["lr_edit", "eval"], "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)
