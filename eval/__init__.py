"""How edits are measured: one metric per file, intervals, paired tests, tables and figures.

Always `from eval import ...` (`import eval` would hide a builtin). Names load when first used, so
that tables need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "mean_squared_error": "metrics.pixels",
    "peak_signal_noise_ratio": "metrics.pixels",
    "mean_absolute_error": "metrics.absolute",
    "structural_similarity": "metrics.ssim",
    "lpips_distance": "metrics.lpips",
    "structure_distance": "metrics.structure",
    "clip_similarity": "metrics.clip",
    "directional_similarity": "metrics.clip",
    "image_similarity": "metrics.clip",
    "dino_similarity": "metrics.dino",
    "where_changed": "metrics.change",
    "box_iou": "metrics.box",
    "judge_candidates": "study.judging",
    "write_report": "report.write",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'eval' has no attribute {name!r}")
    return getattr(import_module(f"eval.{_HOMES[name]}"), name)
