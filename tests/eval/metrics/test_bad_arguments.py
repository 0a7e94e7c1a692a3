"""Metrics refuse arguments that they would misread."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.source_tree import ROOT

# In a process of its own, without the type checks of the suite: as users have it.
PROGRAM = """
import json, math, numpy as np, torch
from eval.metrics.absolute import mean_absolute_error
from eval.metrics.box import area_ratio, box_hit, box_iou
from eval.metrics.change import where_changed
from eval.metrics.clip import clip_similarity, directional_similarity, image_similarity
from eval.metrics.pixels import mean_squared_error, peak_signal_noise_ratio
from eval.metrics.ssim import structural_similarity
from eval.metrics.structure import structure_distance
from tests.eval.networks import FakeClip

pictures, mask = torch.rand(3, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.bool)
pixels = (mean_squared_error, peak_signal_noise_ratio, structural_similarity, mean_absolute_error)
found = {}

def ask(name, measure, *args, **how):
    try:
        measure(*args, **how)
        found[name] = "nothing was refused"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"

for aspect in ("x", "Hit", "", "hits"):
    ask(f"aspect {aspect}", where_changed, pictures, pictures, mask=mask, aspect=aspect)
for value in (-0.1, 1.1, math.nan, math.inf):
    ask(f"threshold {value}", where_changed, pictures, pictures, mask=mask, aspect="hit",
        threshold=value)
for name, boxes in {"three": [0, 0, 1], "turned": [5, 0, 1, 4], "flat": [0, 0, 0, 4],
                    "NaN": [0, 0, math.nan, 4], "none": 3}.items():
    for measure in (box_iou, box_hit, area_ratio):
        ask(f"{measure.__name__} {name}", measure, np.array(boxes), np.array([0, 0, 1, 1]))
        ask(f"{measure.__name__} truth {name}", measure, np.array([0, 0, 1, 1]), np.array(boxes))
for side in (0, -1, 1.5, True):
    ask(f"side {side}", structure_distance, pictures, pictures, backbone=None, side=side)
for measure in pixels:
    for n, m in ((2, 3), (3, 1), (3, 2)):
        ask(f"{n} sources {m} {measure.__name__}", measure, pictures[:n], pictures[:m],
            region="whole")
for shape in ((2, 1, 16, 16), (3, 3, 16, 16), (1, 16, 16), (16, 16)):
    ask(f"mask {shape}", mean_squared_error, pictures, pictures, mask=torch.ones(shape).bool())
ask("text", clip_similarity, pictures, "abc", model=FakeClip())
ask("text of a direction", directional_similarity, pictures, pictures, source_texts=["a"] * 3,
    prompts="abc", model=FakeClip())
ask("words", clip_similarity, pictures, ["a", "b"], model=FakeClip())
ask("bytes", image_similarity, pictures * 255, pictures, model=FakeClip())
print(json.dumps(found))
"""
SAID = {
    "box_iou": "ValueError: ",
    "box_hit": "ValueError: ",
    "area_ratio": "ValueError: ",
    "box_iou flat": "ValueError: [0.0, 0.0, 0.0, 4.0] is no box",
    "box_iou three": "ValueError: boxes of shape (3,)",
    "side": "ValueError: side ",
    "aspect": "ValueError: unknown aspect",
    "threshold": "ValueError: a threshold lies in [0, 1]",
    "2 sources": "ValueError: 2 sources for 3 edits",
    "3 sources": "ValueError: 3 sources for ",
    "mask": "ValueError: masks are (1 or 3, 1, H, W), got ",
    "words": "ValueError: 2 for 3 pictures",
    "bytes": "ValueError: images lie in [0, 1]",
    "text": "ValueError: a list of texts, got the text 'abc'",
}


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", SAID)
def test_what_would_be_misread_is_a_value_error(answers: dict[str, str], kind: str) -> None:
    asked = {name: said for name, said in answers.items() if name.startswith(kind)}
    assert asked and not {
        name: said for name, said in asked.items() if not said.startswith(SAID[kind])
    }
