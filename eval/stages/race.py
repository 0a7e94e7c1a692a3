"""race: banks and what ablate chose -> race.{md,csv,png} of the study's reports."""

from __future__ import annotations

from pathlib import Path

from eval.report.race_page import write_race
from lr_edit.config import Config


def run(root: Path, config: Config) -> None:
    """Measure the race of a study that has one."""
    write_race(root, config)
