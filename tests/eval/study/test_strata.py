"""Success by what a scene holds, and where pictures changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from eval.study.changes import ASPECTS, change_results
from eval.study.scores import Scores
from eval.study.strata import LEAST, compare_by_stratum
from lr_edit.types import Box, EditTask, Label, Truth
from lr_edit.workspace.storage import write_image, write_tasks

BOAT, HOW = Box(4, 4, 12, 12), {"resamples": 99, "seed": 0}
OTHERS = {
    "alike": (Label("fish", "red"), Box(20, 20, 28, 28)),
    "same kind": (Label("boat", "blue"), Box(20, 20, 28, 28)),
    "other": (Label("fish", "blue"), Box(20, 20, 28, 28)),
}


def task(name: str, *others: str, category: str = "replace") -> EditTask:
    adds = category == "add"
    truth = Truth(
        None if adds else BOAT, Label("cup", "green"), tuple(OTHERS[other] for other in others)
    )
    source = "grass" if adds else "a red boat"
    return EditTask(name, Path(f"images/{name}.png"), source, "a cup", category, truth=truth)


def scores(name: str, success: Sequence[float]) -> Scores:
    names = tuple(str(at) for at in range(len(success)))
    return Scores(
        name, names, ("replace",) * len(names), {"success": np.array(success, float)[:, None]}
    )


def test_a_task_stands_under_all_that_it_holds() -> None:
    tasks = [*(task(f"a{n}") for n in range(5)), *(task(f"b{n}", "alike") for n in range(5)),
             *(task(f"c{n}", "other") for n in range(5)),
             *(task(f"d{n}", category="add") for n in range(5))]  # fmt: skip
    first = scores("first", [1] * 5 + [0] * 5 + [1] * 5 + [0] * 5)
    other = scores("other", [1] * 5 + [1] * 5 + [0] * 5 + [0, 0, 0, 0, 1])
    found = compare_by_stratum([first, other], tasks, metric="success", **HOW)
    assert {name: one["mean"] for name, one in found["first"].items()} == {
        "all": 2 / 3, "one": 1.0, "two": 0.5, "alike": 0.0, "unnamed": 0.0,
    }  # fmt: skip
    assert found["other"]["two"]["n"] == 10 and found["other"]["unnamed"]["mean"] == 0.2
    assert found["other"]["alike"]["paired"] == {
        "difference": 1.0, "low": 1.0, "high": 1.0, "n": 5,
    }  # fmt: skip
    assert "paired" not in found["first"]["one"]


@pytest.mark.parametrize(("other", "alike"), [("alike", 5), ("same kind", 5), ("other", 0)])
def test_a_thing_is_alike_by_its_kind_or_by_its_colour(other: str, alike: int) -> None:
    tasks = [task(f"a{n}", other) for n in range(5)]
    found = compare_by_stratum([scores("first", [1.0] * 5)], tasks, metric="success", **HOW)
    assert found["first"].get("alike", {"n": 0})["n"] == alike


def test_of_few_tasks_nothing_is_said() -> None:
    tasks = [task(f"a{n}") for n in range(LEAST - 1)]
    assert compare_by_stratum([scores("first", [1.0] * 4)], tasks, metric="success", **HOW) == {
        "first": {}
    }


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two tasks; `in-place` fills the box, `all-over` everything else."""
    tasks, source = [task("a"), task("b", "other")], np.full((32, 32, 3), 100, np.uint8)
    for one in tasks:
        write_image(tmp_path / "artifacts/tasks" / one.image, source)
        inside, outside = source.copy(), np.full_like(source, 200)
        inside[4:12, 4:12] = 200
        outside[4:12, 4:12] = 100
        write_image(tmp_path / f"artifacts/edits/in-place/{one.id}.png", inside)
        write_image(tmp_path / f"artifacts/edits/all-over/{one.id}.png", outside)
    write_tasks(tmp_path / "artifacts/tasks/tasks.json", tasks)
    return tmp_path


def test_where_a_picture_changed_is_told_against_the_true_box(study: Path) -> None:
    tasks = [task("a"), task("b", "other"), task("c", category="add")]
    found = change_results(study, ["in-place", "all-over"], tasks=tasks, **HOW)
    kept = {key: one["mean"] for key, one in found["in-place"].items()}
    assert kept == {"hit": 1.0, "miss": 0.0, "leak": 0.0, "leak_size": 0.0, "auc": 1.0}
    # All but the box became lighter: the median of the light is taken out, and the box is darker.
    assert found["all-over"]["hit"]["mean"] == 1.0
    assert found["all-over"]["hit"]["n"] == 2 and set(found["all-over"]) == set(ASPECTS)


def test_without_a_true_box_nothing_is_said_of_changes(study: Path) -> None:
    assert change_results(study, ["in-place"], tasks=[task("c", category="add")], **HOW) == {}
