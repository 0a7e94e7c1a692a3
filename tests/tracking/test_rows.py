"""The rows of a study, as MLflow shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.metrics.registry import ABLATED
from lr_edit.errors import UserError
from lr_edit.tracking.rows import POWERS, other_studies, read_rows
from lr_edit.workspace.storage import read_json, write_json
from tests.finished_study import lock, make_study, write_report
from tests.source_tree import ROOT

VARIANTS = {"learned": {"learner": "exact"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_study(tmp_path, VARIANTS)
    return tmp_path


def test_numbers_are_scaled_as_the_tables_print_them() -> None:
    of_races = {"retention": 2}
    assert {key: one.power for key, one in ABLATED.items() if one.power} | of_races == POWERS


def test_the_committed_study_has_every_row_of_its_tables() -> None:
    results = read_json(ROOT / "reports/results.json")
    wanted = list(results["variants"])
    wanted += [f"{group}/{name}" for group, rows in results["ablations"].items() for name in rows]
    rows = read_rows(ROOT)
    assert sorted(row.id for row in rows) == sorted(wanted)
    assert len({row.keys.input for row in rows}) > len(results["variants"])
    learned = next(row for row in rows if row.id == "learned")
    assert learned.params["inpaint.steps"] == 5
    assert learned.params["propose.points"] == 9
    assert learned.params["split"] == "dev"
    assert learned.metrics["success"] == 100 * results["variants"]["learned"]["success"]["mean"]


def test_a_study_that_is_a_race_has_every_row_of_its_page() -> None:
    rows = {row.id: row for row in read_rows(ROOT / "studies/race")}
    page = (ROOT / "reports/race/race.md").read_text(encoding="utf-8")
    race = rows["race/race-400"]
    assert f"| {race.title} | `race-400` | {race.metrics['nfe']:.0f} | " in page
    assert f"| {race.metrics['retention']:.1f} [{race.metrics['retention_low']:.1f}" in page
    assert race.metrics["s_above_released_low"] < race.metrics["s_above_released"]
    assert {row.question for row in rows.values()} == {"race", "previews"}
    assert sum(f"| {row.title} | `{row.name}` |" in page for row in rows.values()) == len(rows)
    assert 0 < rows["previews/preview-1"].metrics["correlation"] < 1
    assert ROOT / "studies/race" in other_studies(ROOT)


def test_another_row_changes_no_key_of_this_one(root: Path) -> None:
    before = {row.id: row.keys for row in read_rows(root)}
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("losses:\n", "losses:\n    other: {}\n", 1))
    write_report(root, list(VARIANTS))
    lock(root, list(VARIANTS))
    assert {row.id: row.keys for row in read_rows(root) if row.id in before} == before


def test_reading_parameters_leaves_the_lock_as_it_was(root: Path) -> None:
    (row, *_) = read_rows(root)
    before = [dict(entry.params) for entry in row.chain.entries]
    assert row.chain.params and row.chain.params
    assert [entry.params for entry in row.chain.entries] == before


def test_a_row_that_the_report_lacks_is_named(root: Path) -> None:
    write_json(root / "reports/results.json", {"variants": {}})
    with pytest.raises(UserError, match=r"results.json has no row 'learned' of variants: run"):
        read_rows(root)
