"""A slice of `make faults` that takes seconds."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path

import pytest

from lr_edit.workspace.storage import read_json
from tests.faults import inputs, machine
from tests.faults.__main__ import NUMBERS, PAGE, areas, page
from tests.faults.trials import Line


@pytest.mark.parametrize("seed", range(2))
def test_bad_input_is_read_or_refused_in_a_sentence(tmp_path: Path, seed: int) -> None:
    inputs.prepare_areas(tmp_path)
    verdicts, bad = inputs.try_inputs(tmp_path, count=140, rng=random.Random(seed))
    assert not bad and sum(verdicts.values()) == 140
    assert all(line.tried == 10 and not line.lost for line in areas(verdicts, bad))


def test_flipped_bits_in_dvc_s_objects_are_found(tmp_path: Path) -> None:
    assert machine.try_flipped_store(tmp_path, random.Random(0)).lost == 0


def test_the_report_counts_what_was_tried_and_lost() -> None:
    lines = [asdict(Line("a", 3, 2, 1, "note")), asdict(Line("b", 1, 1, 0))]
    text = page({"disk": {"lines": lines, "machine": "2 cores", "seconds": 60, "seed": 0}})
    assert "**4 tried, 1 lost.**" in text and "| a | 3 | 2 | 1 | note |" in text
    assert "Not tried: kills, " in text


def test_the_committed_report_is_of_the_committed_numbers() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_json(NUMBERS))
