"""The model card says what was measured against its bar, and nothing that was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lr_edit.picturebook.card import BARS, CAPS, MEANING, write_card
from lr_edit.picturebook.train import measured_path
from lr_edit.workspace.storage import write_json, write_tensors
from tests.source_tree import ROOT


@pytest.fixture
def card(tmp_path: Path) -> str:
    models = tmp_path / "models"
    write_json(measured_path(models, "vae"), {"psnr": 31.2, "psnr_things": 23.0})
    write_json(measured_path(models, "scoring-clip"), {"right_caption": 0.9, "steps": 8, "seed": 2})
    write_json(
        measured_path(models, "inpainter"),
        {"milliseconds": 6.0, "steps": 5, "seed": 1, "seconds": 120, "device": "cuda"},
    )
    write_tensors(models / "vae/model.safetensors", {"w": np.zeros(500_000, np.float32)})
    write_card(models, tmp_path / "models.md")
    return (tmp_path / "models.md").read_text()


def test_a_bar_holds_from_its_own_side(card: str) -> None:
    assert "| vae | round trip, dB | ≥ 28 | 31.2 | yes |" in card
    assert "| vae | round trip inside object boxes, dB | ≥ 24 | 23.0 | **no** |" in card
    assert "| ≤ 5 | 6.0 | **no** |" in card
    assert "| all | weights together, MB | ≤ 60 | 2.0 | yes |" in card


def test_what_was_not_measured_is_said(card: str) -> None:
    assert "| judge | kind right on clean scenes | ≥ 0.97 | not measured |  |" in card
    assert "| scoring-clip | `lr-edit picturebook train scoring-clip` | 8 | 2 |" in card
    assert "| CPU, one thread | not recorded |" in card and "| cuda | 2 |" in card


def test_every_bar_is_explained() -> None:
    bars = {(name, key) for table in (BARS, CAPS) for name in table for key in table[name]}
    assert bars == set(MEANING)


def test_the_shipped_models_meet_their_bars() -> None:
    if not (ROOT / "models/picturebook").is_dir():
        pytest.skip("the bundled models are not pulled")
    assert "**no**" not in (ROOT / "reports/models.md").read_text()
