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
from eval.metrics.change import judge_change, pixel_difference, where_changed
from eval.metrics.classes import MeanSquaredError, WhereChanged
from eval.metrics.pie_bench import decode_mask
from eval.metrics.clip import clip_similarity, directional_similarity, image_similarity
from eval.metrics.pixels import mean_squared_error, peak_signal_noise_ratio
from eval.metrics.ssim import structural_similarity
from eval.metrics.structure import structure_distance
from eval.power import detectable_effect, resolution, tasks_needed
from eval.statistics import bootstrap_interval, estimate, holm, paired_difference
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
flat = torch.zeros(3, 16, 16)
ask("judged foo", judge_change, flat, flat > 0, aspect="foo")
ask("judged masks", judge_change, flat, (flat > 0)[:, None], aspect="hit")
ask("difference of bytes", pixel_difference, pictures * 255, pictures)
ask("difference of one", pixel_difference, pictures, pictures[:1])
ask("class of foo", WhereChanged, "foo")
ask("class of NaN", WhereChanged, "hit", threshold=math.nan)
ask("class region", MeanSquaredError, region="foo")
ask("runs", decode_mask, [0, 3], side=0)
ones, rows = np.ones(3), np.ones((2, 2))
for name, call in {
    "shares level 1": lambda: detectable_effect(20, level=1), "shares level 0":
    lambda: detectable_effect(20, level=0), "shares power": lambda: detectable_effect(2, power=1.0),
    "shares 95": lambda: tasks_needed(0.3, level=95), "needed NaN": lambda: tasks_needed(math.nan),
    "needed 0": lambda: tasks_needed(0), "one task": lambda: detectable_effect(1),
    "p values two": lambda: holm([2, -1]), "per task": lambda: estimate(rows),
    "per task pair": lambda: paired_difference(ones, np.ones(1), higher_is_better=True),
    "per task resolution": lambda: resolution(ones, np.ones(1)),
    "finite": lambda: bootstrap_interval(np.array([1, math.nan, 3])),
    "p values masked": lambda: holm(np.ma.masked_array(ones / 2, [1, 0, 0])),
    "resamples 99.0": lambda: bootstrap_interval(ones, resamples=99.0),
    "resamples 999": lambda: bootstrap_interval(ones, resamples="999"),
}.items():
    ask(name, call)
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
    "judged": "ValueError: ",
    "difference of bytes": "ValueError: images lie in [0, 1]",
    "difference of one": "ValueError: source (3, 3, 16, 16) and edit (1, 3, 16, 16) differ",
    "class": "ValueError: ",
    "runs": "ValueError: a frame of 0 pixels",
    "shares": "ValueError: ",
    "needed": "ValueError: effect ",
    "one task": "ValueError: 1 tasks: two at least",
    "p values two": "ValueError: [2, -1] are no p values",
    "per task": "ValueError: values of shapes",
    "p values masked": "ValueError: a masked array",
    "resamples": "ValueError: resamples ",
    "finite": "ValueError: give one finite value per task",
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
