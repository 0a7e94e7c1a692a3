"""One call judges a whole bank, and gives what the metrics give one candidate at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eval.metrics.clip import clip_similarity, directional_similarity, image_similarity
from eval.metrics.lpips import lpips_distance
from eval.metrics.pixels import mean_squared_error
from eval.metrics.ssim import structural_similarity
from eval.metrics.structure import structure_distance
from eval.study.judging import JUDGED, JudgeNets, judge_candidates
from lr_edit.types import Box, EditTask, Label, Truth
from tests.eval.networks import FakeClip, FakeDino, FakeJudge, FakeLpips

RNG = np.random.default_rng(0)
SOURCE = RNG.integers(0, 256, (3, 32, 32), dtype=np.uint8)
CANDIDATES = RNG.integers(0, 256, (2, 3, 3, 32, 32), dtype=np.uint8)
BOXES = np.array(
    [
        [[0, 0, 8, 8], [2, 3, 12, 9], [0, 0, 32, 32]],
        [[4, 4, 9, 10], [20, 20, 30, 30], [3, 3, 12, 9]],
    ]
)
TASK = EditTask(
    id="a",
    image=Path("a.png"),
    source="a red boat",
    prompt="a blue fish on sand",
    category="replace",
    caption="a red boat on sand",
    truth=Truth(
        Box(2, 3, 12, 9), Label("ball", "red"), ((Label("star", "green"), Box(20, 2, 28, 9)),)
    ),
)


def nets() -> JudgeNets:
    return JudgeNets(FakeClip(), FakeDino(), FakeLpips(), FakeJudge())


def judged(task: EditTask = TASK, judges: JudgeNets | None = None) -> dict[str, np.ndarray]:
    return judge_candidates(SOURCE, CANDIDATES, boxes=BOXES, task=task, judges=judges or nets())


def test_every_metric_is_a_table_of_float64() -> None:
    values = judged()
    assert tuple(values) == JUDGED
    assert all(v.shape == (2, 3) and v.dtype == np.float64 for v in values.values())


def test_the_batch_gives_what_the_metrics_give_one_by_one() -> None:
    values, clip, prompts = judged(), FakeClip(), [TASK.prompt]
    source = torch.from_numpy(SOURCE)[None] / 255
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[:, :, 3:9, 2:12] = True
    for point, size in np.ndindex(2, 3):
        edited = torch.from_numpy(CANDIDATES[point, size])[None] / 255
        one = {
            "clip_whole": clip_similarity(edited, prompts, model=clip),
            "clip_edited": clip_similarity(edited, prompts, model=clip, mask=mask, region="edited"),
            "clip_directional": directional_similarity(
                source, edited, source_texts=["a red boat on sand"], prompts=prompts, model=clip
            ),
            "clip_i": image_similarity(source, edited, model=clip),
            "lpips": lpips_distance(source, edited, mask=mask, net=FakeLpips()),
            "structure_distance": structure_distance(source, edited, backbone=FakeDino()),
            "background_mse": mean_squared_error(source, edited, mask=mask),
            "background_ssim": structural_similarity(source, edited, mask=mask),
        }
        for name, want in one.items():
            np.testing.assert_allclose(values[name][point, size], want, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(values["background_psnr"], -10 * np.log10(values["background_mse"]))


def test_boxes_keep_their_place_in_the_table() -> None:
    values = judged()
    assert values["iou"][0, 1] == 1 and values["iou"][1, 1] == 0
    np.testing.assert_array_equal(values["hit"], [[0, 1, 0], [0, 0, 1]])


def test_without_a_caption_the_source_words_are_the_start() -> None:
    assert (
        judged()["clip_directional"] != judged(replace(TASK, caption=None))["clip_directional"]
    ).all()


REGION = {
    "clip_edited",
    "lpips",
    "background_mse",
    "background_psnr",
    "background_ssim",
    "iou",
    "hit",
}
LABELS = {"success", "placed", "gone", "kept", "in_place", "success_kind", "success_colour"}


@pytest.mark.parametrize(
    ("truth", "category", "missing"),
    [
        (None, "edit", REGION | LABELS),
        (Truth(None, Label("ball", "red")), "add", REGION | {"gone"}),  # any empty place will do
        (Truth(Box(2, 3, 12, 9), None), "remove", {"placed", "success_colour"}),
        (Truth(Box(2, 3, 12, 9), None), "edit", LABELS),  # a place does not say what is wanted
    ],
)
def test_what_is_undefined_is_missing(
    truth: Truth | None, category: str, missing: set[str]
) -> None:
    values = judged(replace(TASK, truth=truth, category=category))
    assert {name for name, v in values.items() if np.isnan(v).all()} == missing
    assert not any(np.isnan(v).any() for name, v in values.items() if name not in missing)


def test_a_judge_that_is_not_there_leaves_its_metrics_missing() -> None:
    values = judged(judges=JudgeNets(FakeClip(), FakeDino()))
    assert {name for name, v in values.items() if np.isnan(v).all()} == {"lpips", *LABELS}


def test_the_source_is_embedded_once() -> None:
    clip = FakeClip()
    judged(judges=JudgeNets(clip, FakeDino()))
    assert clip.images_seen == 1 + 6 + 6  # source, edits, edits on black
