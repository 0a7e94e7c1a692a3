"""The rows of a study, as MLflow shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.metrics.registry import ABLATED
from lr_edit.errors import UserError
from lr_edit.tracking.rows import POWERS, read_rows
from lr_edit.workspace.storage import read_json, write_json
from tests.finished_study import lock, make_study, write_report
from tests.source_tree import ROOT

VARIANTS = {"learned": {"learner": "exact"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_study(tmp_path, VARIANTS)
    return tmp_path


def test_numbers_are_scaled_as_the_tables_print_them() -> None:
    assert {key: one.power for key, one in ABLATED.items() if one.power} == POWERS


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
