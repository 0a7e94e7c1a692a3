"""Sentences say a difference only where the interval leaves zero out."""

from __future__ import annotations

from typing import Any

import pytest

from eval.report.claims import QUESTIONS, read_claims
from lr_edit.config import load_config
from tests.source_tree import ROOT

CONFIG = load_config(ROOT / "params.yaml")


def results(low: float, high: float) -> dict[str, Any]:
    one = {"difference": (low + high) / 2, "low": low, "high": high}
    row = {"success": one, "iou": one, "score_s": {**one, "low": None}}
    return {"paired": {"dino-random-size": {"learned": row}}, "ablations": {}}


def test_few_tasks_tell_no_two_rows_apart() -> None:
    for tasks, said in ((5, "5 tasks are too few"), (6, ": better on")):
        meta = {"tasks": {"headline": tasks}}
        (claim,) = read_claims(results(0.01, 0.05) | {"meta": meta}, CONFIG)
        assert said in claim.finding


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.01, 0.05, "better on"), (-0.05, -0.01, "worse on"), (-0.01, 0.05, "no difference found")],
)
def test_words_follow_from_the_interval(low: float, high: float, word: str) -> None:
    (claim,) = read_claims(results(low, high), CONFIG)
    line = claim.text
    assert line.startswith("Does learning where to edit help? One AnchorNet per image")
    assert f": {word}" in line and "; " not in line  # both metrics, one verdict
    assert "Success " in line and "IoU " in line and " S " not in line


def test_a_group_compared_with_another_row_is_left_out() -> None:
    one = {"mean": 1.0, "paired": {"difference": 1.0, "low": 0.5, "high": 1.5}}
    found = results(0.1, 0.2)
    rows = {"argmin-table": {"success": one}, "exact": {"success": one}}  # sorted, as in a file
    found["ablations"] = {"learners": rows}
    assert len(read_claims(found, CONFIG)) == 1
    rows["exact"] = {"success": {"mean": 1.0}}
    assert len(read_claims(found, CONFIG)) == 2


def test_where_random_wins_is_said_whatever_was_asked() -> None:
    found = results(0.1, 0.2)
    found |= {"meta": {"baseline": "dino-random-size"}, "method": {"name": "learned"}}
    assert read_claims(found, CONFIG)[-1].finding.endswith("random size: worse on no metric.")
    row = found["paired"]["dino-random-size"]["learned"]
    row["clip_i"] = {"difference": -0.03, "low": -0.05, "high": -0.01}
    row["background_mse"] = {"difference": 0.002, "low": 0.001, "high": 0.003}
    said = read_claims(found, CONFIG)[-1].finding
    assert "worse on CLIP Image −3.0 points [−5.0, −1.0], Background MSE +20.00" in said
    assert "IoU" not in said


def test_every_question_is_about_rows_of_the_study_or_its_sweep() -> None:
    import yaml

    from lr_edit.workspace.overlay import study_files

    config = CONFIG
    sweep = yaml.safe_load(study_files(ROOT, "sweep")["params.yaml"])
    groups = {**sweep["ablations"], **config.ablations}
    for question in QUESTIONS:
        if question.group is None:
            assert question.against == config.study.baseline and question.row in config.variants
        else:
            rows = list(groups[question.group])
            assert rows[0] == question.against and question.row in rows


def test_both_sides_say_their_nfe() -> None:
    found = results(0.01, 0.05)
    found["variants"] = {
        "learned": {"nfe": {"mean": 535}},
        "dino-random-size": {"nfe": {"mean": 89}},
    }
    (claim,) = read_claims(found, CONFIG)
    assert "(535 NFE), against DINO's anchors, boxes of random size (89 NFE): " in claim.finding


def test_at_most_five_claims_lead_the_readme() -> None:
    assert 3 <= sum(question.leads for question in QUESTIONS) <= 5
