"""A number leads back to its run, and a fresh study is compared with the committed one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from lr_edit.cli import main
from lr_edit.config import load_config
from lr_edit.errors import Notice, UserError
from lr_edit.tracking.lockfile import content_md5, read_lock, read_study
from lr_edit.tracking.publish import default_uri, publish
from lr_edit.tracking.rows import read_rows
from lr_edit.tracking.runs import run_of
from lr_edit.tracking.trace import as_text, trace
from lr_edit.tracking.trace import git as ask_git
from lr_edit.workspace.storage import read_json, write_json
from tests.finished_study import lock, make_study
from tests.source_tree import ROOT

CONFIG = load_config(ROOT / "params.yaml")
VARIANTS = {"learned": {"learner": "exact"}, "untrained": {}}

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine closes at exit
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def cells(iou: float) -> dict:
    one = {"mean": iou, "low": iou - 0.1, "high": iou + 0.1, "n": 4, "missing": 0}
    return {"variants": {name: {"iou": one} for name in VARIANTS}, "ceilings": {}}


def git(root: Path, *words: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *names, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A finished study whose reports are committed."""
    root = tmp_path / "study"
    make_study(root, VARIANTS)
    write_json(root / "reports/results.json", cells(0.3))
    lock(root, list(VARIANTS))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a study")
    return root


def test_a_cell_leads_to_stages_parameters_and_commit(root: Path) -> None:
    name = next(iter(VARIANTS))
    found = trace(root, CONFIG, row=name, metric="iou")
    assert found["value"]["mean"] == 0.3 and found["run"] is None
    assert {f"{stage}@{name}" for stage in ("train", "edit", "evaluate")} <= {
        entry["name"] for entry in found["stages"]
    }
    assert found["commit"] and len(found["commit"]) == 40
    text = as_text(found)
    assert f"variants.{name}.iou = 0.3" in text and "lr-edit publish" in text
    json.dumps(found)


def test_what_another_study_made_is_known_by_its_content(root: Path) -> None:
    def other(md5: str) -> None:
        outs = [{"path": "artifacts/anchor-net", "hash": "md5", "md5": md5}]
        stages = {"amortise": {"cmd": "lr-edit stage amortise", "outs": outs}}
        (root / "studies/train").mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"schema": "2.0", "stages": stages})
        (root / "studies/train/dvc.lock").write_text(text)

    other("0" * 32)
    assert trace(root, CONFIG, row="learned", metric="iou")["elsewhere"] == {}
    other(content_md5(root / "data"))
    found = trace(root, CONFIG, row="learned", metric="iou")
    assert found["elsewhere"] == {"data": "amortise of studies/train"}
    assert "data: amortise of studies/train" in as_text(found)


def test_the_commit_is_the_one_that_brought_the_outputs(root: Path) -> None:
    def head() -> str:
        words = ["git", "rev-parse", "HEAD"]
        return subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout

    name, first = next(iter(VARIANTS)), head().strip()
    (root / "artifacts/edits/untrained/choices.json").write_text("{}")
    (root / "artifacts/scores/untrained.csv").write_text("another run\n")
    lock(root, list(VARIANTS))
    assert trace(root, CONFIG, row="untrained", metric="iou")["commit"] is None
    assert "no committed dvc.lock" in as_text(trace(root, CONFIG, row="untrained", metric="iou"))
    git(root, "commit", "-qam", "the other variant changed")
    assert trace(root, CONFIG, row=name, metric="iou")["commit"] == first
    assert trace(root, CONFIG, row="untrained", metric="iou")["commit"] == head().strip() != first


def test_a_published_cell_names_its_run(root: Path) -> None:
    name = next(iter(VARIANTS))
    publish(root)
    chain = next(one for one in read_study(root) if one.variant == name)
    found = trace(root, CONFIG, row=name, metric="iou")
    assert found["run"] is not None and found["run"] == run_of(root, chain.keys)


def test_a_row_has_the_parameters_that_it_ran_with_whatever_stands_in_params_yaml() -> None:
    group = CONFIG.ablations["regions"]
    now = group["fixed-small"].model_copy(update={"size": 5})
    changed = CONFIG.model_copy(
        update={"ablations": CONFIG.ablations | {"regions": group | {"fixed-small": now}}}
    )
    found = [
        trace(ROOT, config, row="regions/fixed-small", metric="success")["params"]
        for config in (CONFIG, changed)
    ]
    assert found[0] == found[1] == group["fixed-small"].model_dump(mode="json")


@pytest.mark.parametrize("row", ["learned", "learners/gumbel", "baselines/detected-5"])
def test_a_row_of_any_table_is_looked_up_by_its_own_keys(row: str, monkeypatch) -> None:
    rows = {one.keys: one.id for one in read_rows(ROOT)}
    monkeypatch.setattr("lr_edit.tracking.runs.run_of", lambda _, keys: rows[keys])
    assert trace(ROOT, CONFIG, row=row, metric="success")["run"] == row


def test_code_that_changes_no_output_leaves_a_cell_its_run(root: Path) -> None:
    publish(root)
    keys = read_study(root)[0].keys
    first = run_of(root, keys)
    other = replace(keys, input="0")
    assert first == run_of(root, other) is not None
    assert run_of(root, replace(keys, output="0")) is None
    client = MlflowClient(default_uri(root))  # a later run of the same outputs
    later = client.create_run(
        client.get_run(first).info.experiment_id,
        tags={"input_key": other.input, "output_key": keys.output},
    ).info.run_id
    client.set_terminated(later)
    assert (run_of(root, keys), run_of(root, other)) == (first, later)


def test_unknown_names_are_one_sentence(root: Path) -> None:
    name = next(iter(VARIANTS))
    with pytest.raises(UserError, match=f"did you mean '{name}'"):
        trace(root, CONFIG, row=name + "x", metric="iou")
    with pytest.raises(UserError, match="did you mean 'iou'"):
        trace(root, CONFIG, row=name, metric="iuo")


def test_a_title_that_the_tables_print_is_as_good_as_a_key(root: Path) -> None:
    title = CONFIG.title_of("learned")
    for typed in (title, title.capitalize(), f"{title} (baseline)"):
        assert trace(root, CONFIG, row=typed, metric="iou")["key"] == "variants.learned.iou"
    with pytest.raises(UserError, match=f"did you mean '{title}'"):
        trace(root, CONFIG, row=title.replace("e", "a"), metric="iou")


def test_a_title_of_rows_with_other_numbers_is_asked_back(root: Path) -> None:
    one = cells(0.3)["variants"]["learned"]
    other = cells(0.4)["variants"]["learned"]
    groups = {"budget": {"random-1": one}, "learners": {"random-1": other}}
    write_json(root / "reports/results.json", cells(0.3) | {"ablations": groups})
    with pytest.raises(UserError, match="the title of budget/random-1, learners/random-1"):
        trace(root, CONFIG.model_copy(update={"titles": {"rows": {"random-1": "one drawn"}}}),
              row="one drawn", metric="iou")  # fmt: skip


def test_a_number_of_another_origin_is_said_to_be(root: Path) -> None:
    found = yaml.safe_load((root / "dvc.lock").read_text())
    results = root / "reports/results.json"
    own = {"path": "reports/results.json", "hash": "md5", "md5": content_md5(results)}
    found["stages"]["report"] = {"cmd": "x", "outs": [own]}
    (root / "dvc.lock").write_text(yaml.safe_dump(found))
    row = next(iter(VARIANTS))
    trace(root, CONFIG, row=row, metric="iou")
    write_json(results, cells(0.999))
    with pytest.warns(Notice, match="not what dvc.lock says: this number is of another origin"):
        trace(root, CONFIG, row=row, metric="iou")


def test_another_study_s_broken_lock_stops_no_question(root: Path) -> None:
    (root / "studies/p3").mkdir(parents=True)
    (root / "studies/p3/dvc.lock").write_text("mine\n")
    with pytest.warns(Notice, match="p3/dvc.lock must hold a mapping"):
        assert trace(root, CONFIG, row=next(iter(VARIANTS)), metric="iou")["stages"]


def test_every_row_of_the_committed_tables_can_be_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lr_edit.tracking.trace.read_lock", cache(read_lock))  # once, not a row
    monkeypatch.setattr("lr_edit.tracking.trace.read_rows", cache(read_rows))
    monkeypatch.setattr("lr_edit.tracking.trace.git", cache(ask_git))
    results = read_json(ROOT / "reports/results.json")
    rows = [*results["variants"], *results["ceilings"]]
    rows += [f"{group}/{name}" for group, table in results["ablations"].items() for name in table]
    for row in rows:
        found = trace(ROOT, CONFIG, row=row, metric="success")
        names = [entry["name"] for entry in found["stages"]]
        assert names[0] == "prepare" and any(name.startswith("judge@") for name in names)
        assert ("ablate" in names) == ("/" in row)


@pytest.mark.parametrize(("verdict_", "code"), [("equal", None), ("different", 1)])
def test_the_command_ends_with_the_verdict(
    verdict_: str, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, Any] = {
        "cells": {"a.b.iou": {"committed": 0, "fresh": 1, "verdict": verdict_}},
        "first": None,
        "lacking": [],
        "made_from": None,
    }
    found["damaged"] = []
    monkeypatch.setattr("lr_edit.tracking.verify.verify", lambda root: found)
    if code is None:
        main.main(["--root", str(ROOT), "verify"])
        return
    with pytest.raises(SystemExit) as stop:
        main.main(["--root", str(ROOT), "verify"])
    assert stop.value.code == code
