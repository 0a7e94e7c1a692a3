"""The stage that writes reports/."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.stages import report
from lr_edit.config import load_config
from tests.source_tree import ROOT


def test_what_a_killed_report_left_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "write_report", lambda root, config: None)
    (tmp_path / "reports/pdf").mkdir(parents=True)
    for name in (".cost.png.4194999.0.part", "pdf/.cost.pdf.4194999.1.part", "pdf/cost.pdf"):
        (tmp_path / "reports" / name).touch()
    report.run(tmp_path, load_config(ROOT / "params.yaml"))
    left = [path.name for path in (tmp_path / "reports").rglob("*") if path.is_file()]
    assert left == ["cost.pdf"]
