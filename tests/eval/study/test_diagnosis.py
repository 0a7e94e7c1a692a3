"""Why edits fail, and how often one is preferred: small tables whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.metrics.registry import MEASURES
from eval.study.diagnosis import WHAT_IF, diagnose, reach
from eval.study.preferences import preferences
from eval.study.scores import Scores
from lr_edit.types import Choice, EditTask


def task(name: str) -> EditTask:
    return EditTask(name, Path(f"{name}.png"), "a boat", "a fish", category="replace")


def table(success: list[list[int]], iou: list[list[float]]) -> dict[str, np.ndarray]:
    shape = np.shape(success)
    return {
        "success": np.array(success, float),
        "iou": np.array(iou),
        "clip_directional": np.zeros(shape),
    }


# Two anchors, two sizes; the first size is picked at both, and the first anchor is taken.
CASES = {
    "anchors": table([[0, 0], [0, 0]], [[0.1, 0.2], [0.0, 0.49]]),
    "inpainter": table([[0, 0], [0, 0]], [[0.1, 0.2], [0.0, 0.6]]),
    "size": table([[0, 1], [0, 0]], [[0.1, 0.6], [0.0, 0.0]]),
    "ranking": table([[0, 0], [1, 0]], [[0.1, 0.2], [0.7, 0.0]]),
}


@pytest.mark.parametrize("cause", CASES)
def test_the_first_missing_link_is_named(cause: str) -> None:
    found = diagnose([task("t")], [CASES[cause]], choices=[Choice(0, 0)], picked=[np.array([0, 0])])
    assert [one.cause for one in found] == [cause]


def test_a_success_and_a_task_without_a_true_box_are_no_failures() -> None:
    good = table([[1, 0], [0, 0]], [[0.9, 0.2], [0.0, 0.1]])
    blind = table([[0, 0], [0, 0]], [[np.nan, np.nan], [np.nan, np.nan]])
    found = diagnose(
        [task("a"), task("b")],
        [good, blind],
        choices=[Choice(0, 0)] * 2,
        picked=[np.array([0, 0])] * 2,
    )
    assert found == []


def test_what_would_help_is_asked_one_thing_at_a_time() -> None:
    found = reach(
        list(CASES.values()),
        choices=[Choice(0, 0)] * 4,
        picked=[np.array([0, 0])] * 4,
        truth=[table([[1]], [[0.9]])] * 4,
    )
    assert list(found) == list(WHAT_IF)
    assert {name: values.tolist() for name, values in found.items()} == {
        "nothing": [0, 0, 0, 0],
        "ranking": [0, 0, 0, 1],  # anchors, inpainter, size, ranking
        "size": [0, 0, 1, 1],
        "box": [1, 1, 1, 1],
    }


def test_a_row_that_picks_every_candidate_has_no_size_to_gain() -> None:
    found = reach([CASES["size"]], choices=[Choice(0, 0)], picked=[None], truth=None)
    assert {name: values.tolist() for name, values in found.items()} == {
        "nothing": [0], "ranking": [1], "size": [1],
    }  # fmt: skip


def scores(name: str, success: list[float]) -> Scores:
    ids = tuple(f"t{at}" for at in range(len(success)))
    values = {m.key: np.array(success, float)[:, None] for m in MEASURES}
    return Scores(name, ids, ("replace",) * len(ids), values)


def test_a_tie_is_half_a_win_and_a_missing_value_no_task() -> None:
    ours = scores("learned", [1, 1, 0, 0, np.nan])
    other = scores("dino-random-size", [0, 1, 0, 1, 1])
    found = preferences(ours, [other, scores("elsewhere", [0] * 5)], resamples=99, seed=0)
    assert list(found) == ["dino-random-size"]
    one = found["dino-random-size"]["success"]
    assert one["mean"] == pytest.approx((1 + 0.5 + 0.5 + 0) / 4) and one["n"] == 4
    assert one["sign_p"] == 1.0


def test_a_task_with_many_draws_counts_once_by_the_mean_over_its_pairs() -> None:
    ours = scores("learned", [1, 0])
    other = scores("dino-random-size", [0, 0])
    other.values["success"] = np.array([[0, 1, 0, 0], [0, 0, 0, 1.0]])
    one = preferences(ours, [other], resamples=99, seed=0)["dino-random-size"]["success"]
    assert one["mean"] == pytest.approx(((1 + 0.5 + 1 + 1) / 4 + (0.5 * 3 + 0) / 4) / 2)
    assert one["n"] == 2
