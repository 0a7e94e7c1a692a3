"""The benchmark counts what the editor's own functions do; its page says what was not run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import cost, page
from benchmarks.full_size import compile_inpainter, count_flops
from lr_edit.config import load_config
from lr_edit.frozen.models import load_models
from lr_edit.workspace.storage import read_image, read_tasks, write_json


@pytest.fixture
def subject(tiny_root: Path) -> cost.Subject:
    """One task of the tiny study."""
    config = load_config(tiny_root / "params.yaml")
    task = read_tasks(tiny_root / "data/tasks.json")[0]
    pixels = torch.from_numpy(read_image(tiny_root / "data" / task.image).transpose(2, 0, 1).copy())
    return cost.Subject(load_models(tiny_root, config.models), task, pixels, config)


def test_full_size_models_cost_what_was_counted_before() -> None:
    found = {name: round(flops / 1e12, 3) for name, flops in count_flops().items()}
    assert found == {
        "unet": 0.804, "encode": 1.117, "decode": 2.515, "tiny encode": 0.122,
        "tiny decode": 0.141, "text": 0.045, "dino": 0.213, "clip": 0.035,
    }  # fmt: skip


def test_rows_follow_the_sampler_and_the_page_says_what_was_not_run(
    subject: cost.Subject, tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = cost.counted(tiny_root)
    assert counted["plans"][0]["nfe"] == 10_098
    monkeypatch.setattr(cost, "STEPS", 2)
    rows = cost.measure(subject, draws=1, repeats=1)
    named = {row.strategy: row for row in rows}
    each = subject.config.proposal_set("dino").inpaint.sampler.nfe
    assert named["released"].nfe == 9 * 3 * 2
    assert named["amortised, top 1"].nfe == each
    assert named["enumerate"].nfe > named["amortised, top 3"].nfe
    assert all(row.flops > 0 and row.seconds > 0 and row.peak_bytes > 0 for row in rows)
    found = {
        "took": 1.0, "sd2": None, "counted": counted,
        "picturebook": {
            "load": 0.0, "hardware": "a test", "torch": "0", "matmul": 1e9, "loading": 1.0,
            "lr-edit edit": 2.0,
            "rows": [vars(row) for row in rows], "parts": cost.parts_of_an_edit(subject),
        },
    }  # fmt: skip
    write_json(tiny_root / "performance.json", found)
    text = page.write_page(tiny_root / "performance.json").read_text()
    assert "not yet run" in text and "| released | 54 |" in text and "modelled" in text


@pytest.mark.slow
def test_a_compiled_painter_still_counts_and_paints_the_same(subject: cost.Subject) -> None:
    before = subject.bank()
    compile_inpainter(subject.models.inpainter, backend="eager")
    after = subject.bank()
    assert after[0].nfe == before[0].nfe
    assert torch.equal(after[1], before[1])
