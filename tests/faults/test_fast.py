"""A slice of `make faults` that takes seconds."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from lr_edit.workspace.storage import read_json
from tests.faults import machine
from tests.faults.__main__ import NUMBERS, PAGE, areas, page
from tests.faults.trials import Line
from tests.source_tree import ROOT

TRY = """
import json, random, sys
from pathlib import Path
from tests.faults import inputs
inputs.prepare_areas(Path(sys.argv[1]))
found = [inputs.try_inputs(Path(sys.argv[1]), count=140, rng=random.Random(n)) for n in range(2)]
print(json.dumps(found))
"""


def test_bad_input_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """In a process of its own, without the type checks of the suite: as users have it."""
    words = [sys.executable, "-c", TRY, str(tmp_path.resolve())]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for verdicts, bad in json.loads(done.stdout.splitlines()[-1]):
        assert not bad and sum(verdicts.values()) == 140
        lines = list(areas(Counter(verdicts), bad))
        assert all(line.tried == 10 and not line.lost for line in lines)


def test_flipped_bits_in_dvc_s_objects_are_found(tmp_path: Path) -> None:
    assert machine.try_flipped_store(tmp_path, random.Random(0)).lost == 0


def test_the_report_counts_what_was_tried_and_lost() -> None:
    lines = [asdict(Line("a", 3, 2, 1, "note")), asdict(Line("b", 1, 1, 0))]
    text = page({"disk": {"lines": lines, "machine": "2 cores", "seconds": 60, "seed": 0}})
    assert "**4 tried, 1 lost.**" in text and "| a | 3 | 2 | 1 | note |" in text
    assert "Not tried: kills, " in text


def test_the_committed_report_is_of_the_committed_numbers() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_json(NUMBERS))
