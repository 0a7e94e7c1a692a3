"""Detectors and editors beside the method: tables, and sentences that follow from numbers."""

from __future__ import annotations

from typing import Any

import pytest

from eval.report.baselines import baseline_tables, describe_baselines
from lr_edit.config import load_config
from tests.source_tree import ROOT

CONFIG = load_config(ROOT / "params.yaml")


def cell(mean: float, **more: Any) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 48, "missing": 0, **more}


def paired(low: float, high: float) -> dict[str, Any]:
    return {"paired": {"difference": (low + high) / 2, "low": low, "high": high, "n": 48}}


@pytest.fixture
def results() -> dict[str, Any]:
    changes = {key: cell(0.5) for key in ("hit", "miss", "leak", "leak_size", "auc")}
    own = {"nfe": cell(10), "success": cell(0.9)}
    return {
        "ablations": {
            "baselines": {
                "detected": own,
                "learned": {"nfe": cell(535), "success": cell(0.4, **paired(-0.6, -0.4))},
                "instructed": {"nfe": cell(15), "success": cell(0.8, **paired(-0.2, 0.1))},
            }
        },
        "strata": {
            "success": {
                "detected": {
                    "all": cell(0.9),
                    "one": cell(0.9),
                    "alike": cell(0.8),
                    "unnamed": cell(0.0),
                },
                "learned": {
                    "all": cell(0.4, **paired(-0.6, -0.4)),
                    "one": cell(0.5, **paired(-0.6, -0.2)),
                    "alike": cell(0.8, **paired(-0.1, 0.1)),
                    "unnamed": cell(0.2, **paired(0.1, 0.3)),
                },
                "instructed": {
                    "all": cell(0.8, **paired(-0.2, 0.1)),
                    "one": cell(0.9, **paired(0.0, 0.0)),
                },
            },
            "in_place": {
                "detected": {"all": cell(0.9)},
                "learned": {"all": cell(0.7, **paired(-0.3, -0.1))},
                "instructed": {"all": cell(0.9, **paired(-0.1, 0.1))},
            },
        },
        "changes": {"detected": changes, "instructed": changes},
    }


def test_a_row_is_said_to_differ_where_its_interval_leaves_zero_out(results) -> None:
    meaning, learned, instructed, changed = describe_baselines(results, CONFIG)
    assert "pixels of bystanders" in meaning
    assert learned.startswith("One AnchorNet per image, trained on its table of losses (535 NFE), ")
    assert (
        "against one box by a supervised detector (10 NFE). Success: 40.0% [30.0, 50.0]" in learned
    )
    assert "against 90.0% [80.0, 100.0], −50.0 points [−60.0, −40.0];" in learned
    assert "; better with the words name no thing (add), worse with one thing." in learned
    assert "another of its kind or colour" not in learned
    assert "In place: 70.0% [60.0, 80.0], against 90.0% [80.0, 100.0], −20.0" in learned
    assert instructed.endswith("no difference found anywhere.")
    assert "changes 50.0% [40.0, 60.0] of the true box and 50.0%" in changed


def test_the_tables_hold_every_row_and_say_how_many_tasks(results) -> None:
    hard, changed = baseline_tables(results, CONFIG)
    assert hard.heading.startswith("Where") and changed.heading.startswith("Where")
    heads = [column.measure.title for column in hard.columns]
    assert heads == ["all (48)", "one thing (48)", "another of its kind or colour (48)",
                     "the words name no thing (add) (48)"]  # fmt: skip
    assert list(hard.blocks) == ["Success", "In place"]
    assert [line.row for line in hard.blocks["Success"]] == ["detected", "learned", "instructed"]
    frame = hard.frame.set_index(["block", "row", "metric"])
    assert frame.loc[("Success", "learned", "one"), "difference"] == pytest.approx(-0.4)
    assert frame.loc[("Success", "instructed", "alike"), "shown"] == "–"
    assert frame.loc[("In place", "learned", "all"), "key"] == "strata.in_place.learned.all"
    assert [line.row for line in changed.blocks[""]] == ["detected", "instructed"]


def test_photos_without_a_truth_have_neither_table(results) -> None:
    results |= {"strata": {"success": {"detected": {}, "learned": {}}}, "changes": {}}
    assert baseline_tables(results, CONFIG) == []
    assert describe_baselines(results, CONFIG) == []


def test_a_study_without_such_rows_has_neither() -> None:
    assert describe_baselines({"ablations": {}}, CONFIG) == []
    assert baseline_tables({"ablations": {}}, CONFIG) == []
