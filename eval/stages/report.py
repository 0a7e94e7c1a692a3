"""report: every variant's scores, curves and edits -> reports/."""

from __future__ import annotations

from pathlib import Path

from eval.report.write import write_report
from lr_edit.config import Config


def run(root: Path, config: Config) -> None:
    """Write tables and figures."""
    write_report(root, config)
