"""The figure of nets across images: drawn from a study's own rows, and empty without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eval.report.amortised import ENDS, GROUP, SHOWN, draw_amortised
from tests.eval.artifact_tree import small_config

CONFIG = small_config()
ROWS = CONFIG.ablations[GROUP]


def results() -> dict[str, Any]:
    """A group's results: J is missing where a row inpaints a few boxes alone."""
    found: dict[str, Any] = {}
    for at, (name, row) in enumerate(ROWS.items()):
        for key in SHOWN:
            known = key != "expected_loss" or not (row.top or row.points)
            paired = {"difference": 0.1, "low": 0.0, "high": 0.3} if at else None
            one = {"mean": 1 - at / 100 if known else None, "paired": paired}
            found.setdefault(name, {})[key] = one
    return found


def test_the_ends_of_the_gap_are_rows_of_the_study() -> None:
    assert set(ENDS) <= set(ROWS)


def test_the_figure_is_drawn_with_rows_and_without_and_is_the_same_twice(tmp_path: Path) -> None:
    places = [tmp_path / f"{name}.png" for name in ("full", "again", "empty")]
    for place in places[:2]:
        draw_amortised(place, CONFIG, results=results(), note="A world.")
    bare = CONFIG.model_copy(update={"ablations": {}})
    draw_amortised(places[2], bare, results={}, note="A world.")
    full, again, empty = (np.asarray(Image.open(place)) for place in places)
    np.testing.assert_array_equal(full, again)
    assert (full < 128).sum() > (empty < 128).sum() > 0
