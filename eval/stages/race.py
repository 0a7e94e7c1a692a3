"""race: banks and what ablate chose -> race.csv of the study's reports, and its page."""

from __future__ import annotations

from pathlib import Path

from eval.report.pages import write_pages
from eval.report.race_page import write_measured
from eval.study.race import measure_race
from lr_edit.config import Config
from lr_edit.workspace.paths import reports_folder


def run(root: Path, config: Config) -> None:
    """Measure the race of a study that has one."""
    write_measured(reports_folder(root) / "race.csv", measure_race(root, config))
    write_pages(root, config)
