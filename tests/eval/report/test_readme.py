"""README.md's table is what reports/results.json says, made by command."""

from __future__ import annotations

import json

import pytest

from eval.report.readme import END, START, insert
from eval.report.write import in_order, pages
from lr_edit.config import load_config
from tests.source_tree import ROOT

CELL = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 4, "missing": 0}
ROW = dict.fromkeys(("iou", "success", "score_s", "loss", "candidates"), CELL)
RESULTS = {
    "variants": {"b": ROW, "a": ROW},
    "ceilings": {"top": {**ROW, "iou": {**CELL, "mean": None}}},
    "meta": {"caption": "drawn"},
}


def test_the_table_stands_between_its_marks_in_the_given_order() -> None:
    page = insert(f"above\n{START}\nold\n{END}\nbelow", RESULTS, order=["a", "b"])
    assert page.startswith("above\n") and page.endswith("\nbelow") and "old" not in page
    assert page.index("| a |") < page.index("| b |") < page.index("| *top* |")
    assert "50.0 [25.0, 75.0]" in page and "| *top* | – |" in page


def test_nets_across_images_stand_before_what_the_finished_table_could_give() -> None:
    nets = {"amortised": {"text-128-top-1": ROW, "blind-0": ROW}}
    page = insert(f"{START}{END}", {**RESULTS, "ablations": nets}, order=["a"])
    assert page.index("| a |") < page.index("| *text-128-top-1* |") < page.index("| *top* |")
    assert "blind-0" not in page


def test_inserting_twice_changes_nothing() -> None:
    once = insert(f"{START}{END}", RESULTS, order=["a", "b"])
    assert insert(once, RESULTS, order=["a", "b"]) == once


def test_the_readme_is_not_stale() -> None:
    results = ROOT / "reports/results.json"
    if not results.exists():
        pytest.skip("no study has been run")
    page = (ROOT / "README.md").read_text()
    order = list(load_config(ROOT / "params.yaml").variants)
    assert insert(page, json.loads(results.read_text()), order=order) == page, "run `make readme`"


def test_the_pages_of_reports_are_not_stale() -> None:
    reports = ROOT / "reports"
    if not (reports / "tables.md").exists():
        pytest.skip("no study has been run")
    config = load_config(ROOT / "params.yaml")
    results = in_order(json.loads((reports / "results.json").read_text()), config)
    for name, text in pages(config, results).items():
        assert (reports / name).read_text() == text, f"reports/{name}: run `dvc repro`"
