"""The benchmark counts what the editor's own functions do; its page says what was not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import cost, page, photos, strategies
from benchmarks.counted import count_edits
from benchmarks.full_size import count_flops
from benchmarks.strategies import Subject, time_parts
from benchmarks.training import Features, measure_training
from lr_edit.config import load_config
from lr_edit.frozen.models import load_models
from lr_edit.workspace.storage import read_image, read_json, read_tasks
from tests.source_tree import ROOT


@pytest.fixture
def subject(tiny_root: Path) -> Subject:
    """One task of the tiny study."""
    config = load_config(tiny_root / "params.yaml")
    task = read_tasks(tiny_root / "data/tasks.json")[0]
    pixels = torch.from_numpy(read_image(tiny_root / "data" / task.image).transpose(2, 0, 1).copy())
    return Subject(load_models(tiny_root, config.models), task, pixels, config)


def test_full_size_models_cost_what_was_counted_before() -> None:
    found = {name: round(flops / 1e12, 3) for name, flops in count_flops().items()}
    assert found == {
        "unet": 0.804, "encode": 1.117, "decode": 2.515, "tiny encode": 0.122,
        "tiny decode": 0.141, "text": 0.045, "dino": 0.213, "clip": 0.035,
    }  # fmt: skip


@pytest.mark.long
def test_every_row_is_kept_as_it_comes_and_the_page_says_what_was_not_run(
    subject: Subject, tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_root / "reports/performance.json"
    monkeypatch.setattr(strategies, "STEPS", 2)
    monkeypatch.setattr(strategies, "DRAWS", 1)
    findings = cost.Findings(path, device="cpu", minutes=9)
    counted = count_edits(tiny_root)
    assert counted["plans"][0]["nfe"] == 10_098
    findings.add("counted", device="meta", **counted)
    findings.add("picturebook", matmul=1e9, loading=1.0)
    monkeypatch.setattr(Subject, "race", lambda *_: 1 / 0)
    cost.measure_part(findings, "picturebook", subject=subject, rows="rows", flops={})
    monkeypatch.undo()
    findings.add("picturebook", edit=2.0, parts=time_parts(subject))
    kept = read_json(path)["picturebook"]["cpu"]["rows"]
    assert [row["strategy"] for row in kept] == ["released", "enumerate"]
    assert kept[0]["nfe"] == 9 * 3 * 2 and kept[1]["nfe"] > 9
    assert all(row["flops"] > 0 and row["seconds"] > 0 and row["peak_bytes"] > 0 for row in kept)
    text = page.write_page(path).read_text()
    assert "not yet run" in text and "| released | 54 |" in text and "modelled" in text
    assert "- picturebook, rows: race (cpu): ZeroDivisionError: division by zero" in text


def test_training_is_measured_from_features_to_probabilities(tiny_root: Path) -> None:
    config = load_config(tiny_root / "params.yaml")
    path = tiny_root / "reports/performance.json"
    findings = cost.Findings(path, device="cpu", minutes=9)
    kind = Features("small", channels=5, cells=8, side=64)
    row = measure_training(config, kind, images=2, device="cpu", repeats=1)
    assert (row.boxes, row.steps, row.images) == (4, 3, 2) and row.seconds > 0
    findings.add("training", rows=[vars(row)])
    assert "| small | 5 x 8 x 8 | 2 |" in page.write_page(path).read_text()


def test_nothing_is_begun_once_the_time_is_up(tmp_path: Path) -> None:
    findings = cost.Findings(tmp_path / "performance.json", device="cpu", minutes=0)
    assert findings.attempt("counting", lambda: 1) is None
    findings.add("run")
    text = page.write_page(tmp_path / "performance.json").read_text()
    assert "- counting (cpu): not begun: the 0 minutes were over" in text


def test_photos_are_the_worlds_scenes_and_their_page_is_not_stale() -> None:
    scene = photos.draw_scene(1, side=256, room=2)
    box = scene.task.truth and scene.task.truth.box
    assert box and scene.scale == 2
    changed = (np.abs(scene.before.astype(int) - scene.after) > 9).any(2)
    rows, columns = np.nonzero(changed)
    assert box.top <= rows.min() // 2 and rows.max() // 2 <= box.bottom
    assert box.left <= columns.min() // 2 and columns.max() // 2 <= box.right
    rows_of_page = read_json(ROOT / photos.NUMBERS)
    assert photos.write_page(rows_of_page) == (ROOT / photos.PAGE).read_text(encoding="utf-8")
