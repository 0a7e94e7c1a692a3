"""report: every variant's scores, curves and edits -> reports/."""

from __future__ import annotations

from pathlib import Path

from eval.report.figures import PDF
from eval.report.write import write_report
from lr_edit.config import Config
from lr_edit.errors import reading
from lr_edit.workspace.folders import remove_leftovers
from lr_edit.workspace.paths import reports_folder


def run(root: Path, config: Config) -> None:
    """Write tables and figures."""
    for folder in (reports_folder(root), reports_folder(root) / PDF):
        remove_leftovers(folder)
    with reading(root / "artifacts", cure="run `dvc repro`; --debug says where"):
        write_report(root, config)
