"""Ablation rows: the real stage chooses from real tables, and the page says what it chose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.study.ablations import (
    ablation_results,
    ablation_scores,
)
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.stages import ablate
from lr_edit.workspace.storage import read_banks, read_json, study_tasks
from tests.eval.artifact_tree import POINTS, make_tree, small_config

HERE = {"regions": ("argmin-table", "best-of-bank-s", "first-anchor-medium", "whole-image"),
        "sizes": ("six", "two"), "budget": ("random-1", "random-9")}  # fmt: skip


@pytest.fixture(scope="module")
def config() -> Config:
    whole = small_config()
    groups = {g: {name: whole.ablations[g][name] for name in rows} for g, rows in HERE.items()}
    # A test tree has three anchors.
    groups["budget"]["random-9"] = groups["budget"]["random-9"].model_copy(update={"draws": 9})
    return whole.model_copy(update={"ablations": groups})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Path:
    root = tmp_path_factory.mktemp("study")
    make_tree(root, config)
    ablate.run(root, config, track=lambda items, *_, **__: items)
    return root


def test_rows_choose_within_the_part_they_see(root: Path, config: Config) -> None:
    chosen = read_json(root / "artifacts/ablations.json")
    first = np.array(chosen["regions"]["first-anchor-medium"]["choices"])
    assert (first[..., 0] == 0).all() and (first[..., 1] == 2).all()
    assert np.array(chosen["sizes"]["two"]["choices"])[..., 1].max() < 2
    assert (np.array(chosen["regions"]["whole-image"]["choices"]) == [0, 3]).all()


@pytest.mark.parametrize("change", ["{}", "[]", "null", '{"regions": {}}', "a row"])
def test_what_the_stage_did_not_leave_is_named_with_its_cure(
    root: Path, config: Config, change: str
) -> None:
    path = root / "artifacts/ablations.json"
    whole = path.read_text()
    if change == "a row":
        found = read_json(path)
        del found["sizes"]["two"]
        change = json.dumps(found)
    try:
        path.write_text(change)
        with pytest.raises(UserError, match=r"ablations.json does not hold .* `dvc repro ablate`"):
            ablation_scores(root, config, tasks=study_tasks(root))
    finally:
        path.write_text(whole)


def test_a_row_that_lacks_a_part_is_one_sentence(root: Path, config: Config) -> None:
    path = root / "artifacts/ablations.json"
    whole, found = path.read_text(), read_json(path)
    del found["sizes"]["two"]["candidates_used"]
    try:
        path.write_text(json.dumps(found))
        with pytest.raises(UserError, match=r"is not what its stage wrote \('candidates_used'\)"):
            ablation_scores(root, config, tasks=study_tasks(root))
    finally:
        path.write_text(whole)


def test_the_best_of_the_bank_is_its_highest_s(root: Path, config: Config) -> None:
    tasks = study_tasks(root)
    scores = ablation_scores(root, config, tasks=tasks)
    best = next(row for row in scores["regions"] if row.variant == "best-of-bank-s")
    expected = [bank.score.max() for bank in read_banks(root, "dino", tasks=tasks)]
    np.testing.assert_allclose(best.per_task("score_s"), expected)
    for row in scores["budget"]:
        assert (row.values["score_s"] <= np.array(expected)[:, None] + 1e-12).all()


def test_a_row_pays_for_what_it_saw(root: Path, config: Config) -> None:
    scores = ablation_scores(root, config, tasks=study_tasks(root))
    candidates_used = {
        row.variant: row.per_task("candidates")[0] for rows in scores.values() for row in rows
    }
    assert candidates_used["six"] == POINTS * 6 and candidates_used["two"] == POINTS * 2
    assert candidates_used["random-1"] == 1 and candidates_used["random-9"] == 9
    assert candidates_used["first-anchor-medium"] == 1 and candidates_used["whole-image"] == 1


def test_differences_are_paired_with_the_first_row(root: Path, config: Config) -> None:
    scores = ablation_scores(root, config, tasks=study_tasks(root))
    found = ablation_results(scores, resamples=99, seed=0)
    six, two = scores["sizes"]
    keep = six.where()
    expected = (two.per_task("iou") - six.per_task("iou"))[keep]
    one = found["sizes"]["two"]["iou"]["paired"]
    assert one["difference"] == pytest.approx(np.nanmean(expected))
    assert "paired" not in found["sizes"]["six"]["iou"]
    assert one["holm_p"] >= one["p"]
