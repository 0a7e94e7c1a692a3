"""A fresh run against the committed study: equal, within tolerance, different, damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from lr_edit.errors import Unfinished, UserError
from lr_edit.tracking.lockfile import content_md5
from lr_edit.tracking.trace import trace
from lr_edit.tracking.verify import TOLERANCE, differs, verdict, verify
from lr_edit.workspace.storage import read_json, write_json
from tests.finished_study import lock, make_study
from tests.tracking.test_trace import CONFIG, VARIANTS, cells, pytestmark, root

__all__ = ["pytestmark", "root"]


def test_the_committed_study_verifies(root: Path) -> None:
    found = verify(root)
    assert {one["verdict"] for one in found["cells"].values()} == {"equal"}
    assert found["first"] is None
    assert "every stage's outputs are equal" in verdict(found)


@pytest.mark.parametrize(
    ("change", "expected"), [(TOLERANCE["iou"] / 2, "within tolerance"), (0.2, "different")]
)
def test_a_cell_that_moved_is_said_with_its_stage(root: Path, change: float, expected: str) -> None:
    name = next(iter(VARIANTS))
    write_json(root / "reports/results.json", cells(0.3 + change))
    (root / f"artifacts/edits/{name}/choices.json").write_text("{}")
    lock(root, list(VARIANTS))
    found = verify(root)
    assert {one["verdict"] for one in found["cells"].values()} == {expected}
    assert found["first"] == f"edit@{name}"
    assert f"first stage whose outputs differ: edit@{name}" in verdict(found)


def test_a_row_that_is_gone_differs_and_a_new_one_stands_apart(root: Path) -> None:
    results = read_json(root / "reports/results.json")
    name, *_ = list(results["variants"])
    results["variants"]["newcomer"] = results["variants"].pop(name)
    write_json(root / "reports/results.json", results)
    found = verify(root)
    assert found["cells"][f"variants.{name}.iou"]["verdict"] == "different"
    assert found["cells"]["variants.newcomer.iou"]["verdict"] == "new"
    assert differs(found)
    said = verdict(found).splitlines()
    assert said.count("new, with nothing to compare: variants.newcomer") == 1
    results["variants"][name] = results["variants"]["newcomer"]
    write_json(root / "reports/results.json", results)
    lock(root, list(VARIANTS))
    assert not differs(verify(root))  # the committed rows are as they were


def test_without_a_commit_there_is_nothing_to_compare(tmp_path: Path) -> None:
    make_study(tmp_path / "study", VARIANTS)
    with pytest.raises(UserError, match="no committed study"):
        verify(tmp_path / "study")


def test_where_git_reads_nothing_it_is_asked_why(root: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own: as another user
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    with pytest.raises(UserError, match=r"git says: fatal: detected dubious ownership"):
        verify(root)


def test_a_fresh_clone_in_which_nothing_ran_does_not_verify(root: Path) -> None:
    shutil.rmtree(root / "artifacts")
    with pytest.raises(Unfinished, match=r"nothing was run in .*: `make repro` first"):
        verify(root)


def test_an_output_that_is_not_what_the_lock_says_does_not_verify(root: Path) -> None:
    assert not differs(verify(root))
    table = next((root / "artifacts/tables/dino").rglob("*.safetensors"))
    flipped = bytearray(table.read_bytes())
    flipped[-1] ^= 1
    table.write_bytes(flipped)
    found = verify(root)
    assert differs(found) and found["damaged"] == ["artifacts/tables/dino"]
    assert "not what dvc.lock says: artifacts/tables/dino; run `dvc repro`" in verdict(found)
    shutil.rmtree(root / "artifacts/tasks")
    assert "artifacts/tasks" in verify(root)["damaged"]


def test_pages_of_another_study_that_were_altered_do_not_verify(root: Path) -> None:
    table = root / "reports/race/race.csv"
    table.parent.mkdir()
    table.write_text("measure,value\n")
    own = {"path": "../../reports/race/race.csv", "hash": "md5", "md5": content_md5(table)}
    (root / "studies/race").mkdir(parents=True)
    lines = yaml.safe_dump({"stages": {"race": {"cmd": "x", "outs": [own]}}})
    (root / "studies/race/dvc.lock").write_text(lines)
    assert not differs(verify(root))
    table.write_text("measure,value\nretention,1\n")
    assert verify(root)["damaged"] == ["reports/race/race.csv"]


def test_pictures_that_a_pull_leaves_out_are_no_difference(root: Path) -> None:
    made = root / "artifacts/candidates/dino"
    made.mkdir(parents=True, exist_ok=True)
    text = (root / "dvc.lock").read_text()
    found = yaml.safe_load(text)
    for path in ("artifacts/candidates/dino", "artifacts/receipt.json"):
        own = {"path": path, "hash": "md5", "md5": "0" * 32}
        found["stages"]["candidates@dino"].setdefault("outs", []).append(own)
    (root / "dvc.lock").write_text(yaml.safe_dump(found))
    assert "artifacts/candidates/dino" in verify(root)["damaged"]  # there, and otherwise
    shutil.rmtree(made)
    assert verify(root)["damaged"] == []


@pytest.mark.parametrize(
    "text",
    ["null", "[]", '{"variants": []}', "7", '{"variants": {"learned": null}}', '{"ablations": []}',
     '{"variants": {"learned": {"iou": null}}}',
     '{"variants": {"learned": {"iou": {"mean": [1]}}}}',
     '{"variants": {"learned": {"iou": {"mean": "high"}}}}', '{"ablations": {"losses": {"a": 1}}}'],
)  # fmt: skip
def test_results_that_are_none_are_one_sentence(root: Path, text: str) -> None:
    (root / "reports/results.json").write_text(text)
    for read in (verify, lambda root: trace(root, CONFIG, row="learned", metric="iou")):
        with pytest.raises(UserError, match=r"results\.json holds no tables"):
            read(root)


def test_a_study_without_a_cell_does_not_verify() -> None:
    assert differs({"cells": {}, "first": None, "damaged": [], "lacking": [], "made_from": None})


def test_parameters_and_data_that_are_not_those_of_the_study_are_said(root: Path) -> None:
    params, lock_file = root / "params.yaml", root / "dvc.lock"
    before = params.read_text(), lock_file.read_text()
    assert verify(root)["made_from"] is None
    params.write_text(before[0].replace("split: dev", "split: val"))
    found = verify(root)
    assert differs(found) and "params.yaml says study.split = 'val', but" in verdict(found)
    params.write_text(before[0])
    locked = yaml.safe_load(before[1])
    entry = next(one for name, one in locked["stages"].items() if name.startswith("evaluate@"))
    entry["deps"][0]["md5"] = "0" * 32  # what another stage made otherwise
    lock_file.write_text(yaml.safe_dump(locked))
    found = verify(root)
    assert differs(found) and f"{entry['deps'][0]['path']} is not what evaluate@" in verdict(found)
