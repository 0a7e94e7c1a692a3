"""race: banks and what ablate chose -> race.csv of the study's reports, and its page."""

from __future__ import annotations

from pathlib import Path

from eval.report.race_page import write_measured, write_race_pages
from eval.study.race import measure_race
from lr_edit.config import Config
from lr_edit.workspace.paths import reports_folder


def run(root: Path, config: Config) -> None:
    """Measure the race of a study that has one."""
    reports = reports_folder(root)
    write_measured(reports / "race.csv", measure_race(root, config))
    write_race_pages(reports, config)
