"""evaluate@variant: choices and judge tables -> artifacts/scores/VARIANT.csv and VARIANT.json."""

from __future__ import annotations

from pathlib import Path

from eval.study.evaluate import evaluate
from lr_edit.config import Config


def run(root: Path, config: Config, *, name: str) -> None:
    """Score what one variant chose."""
    evaluate(root, config, name=name)
