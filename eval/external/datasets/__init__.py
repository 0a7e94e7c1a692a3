"""Public editing data sets, one adapter a file: what is edited, how, and what its edit is called.

`open_dataset("pie-bench:data/PIE-Bench")`; `contract.py` says what an adapter returns.
"""

from __future__ import annotations

from eval.external.datasets.contract import Adapter, Dataset, Embedded, Picture, Sample
from eval.external.datasets.registry import ADAPTERS, open_dataset

__all__ = ["ADAPTERS", "Adapter", "Dataset", "Embedded", "Picture", "Sample", "open_dataset"]
