"""How edits are measured: one metric a file, intervals, paired tests, tables and figures.

Always `from eval import ...` (`import eval` would hide a builtin). Names load when first used, so
that tables need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "mean_squared_error": "pixels",
    "peak_signal_noise_ratio": "pixels",
    "structural_similarity": "ssim",
    "lpips_distance": "perceptual",
    "structure_distance": "structure",
    "clip_similarity": "clip",
    "directional_similarity": "clip",
    "image_similarity": "clip",
    "box_iou": "region",
    "judge_candidates": "judging",
    "write_report": "report",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'eval' has no attribute {name!r}")
    return getattr(import_module(f"eval.{_HOMES[name]}"), name)
