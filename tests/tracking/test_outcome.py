"""What a viewer gets to see of a finished variant."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lr_edit.tracking.outcome import (
    GAP,
    LEAST_SIDE,
    chosen_boxes,
    has_artifacts,
    picture,
    read_series,
)
from lr_edit.tracking.palette import COLOURS, free_colour
from lr_edit.tracking.provenance import describe
from lr_edit.tracking.rows import Row, read_rows
from lr_edit.types import Box
from lr_edit.workspace.storage import read_image, study_tasks
from tests.finished_study import SIDE, make_study


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_study(tmp_path, {"learned": {}})
    return tmp_path


def row(root: Path) -> Row:
    return read_rows(root)[0]


def test_missing_values_are_left_out_and_seeds_are_averaged(root: Path) -> None:
    series = [point for point in read_series(root, row(root)) if "per_image" in point.key]
    assert {point.key for point in series} == {"per_image/iou", "per_image/score_s"}
    assert sum(point.key == "per_image/iou" for point in series) == len(study_tasks(root))


def test_a_variant_without_a_net_has_no_curves(root: Path) -> None:
    (root / "artifacts/nets/learned/curves.jsonl").unlink()
    assert not [point for point in read_series(root, row(root)) if "train" in point.key]


def test_without_artifacts_there_are_no_series_and_no_error(root: Path) -> None:
    shutil.rmtree(root / "artifacts/edits")
    assert not has_artifacts(root, row(root))
    assert read_series(root, row(root)) == []


def test_a_picture_shows_source_and_edit_with_the_box_around_what_was_inpainted(root: Path) -> None:
    task, box = study_tasks(root)[0], Box(4, 8, 20, 28)
    sheet = np.asarray(picture(root, "learned", task=task, box=box))
    scale = LEAST_SIDE // SIDE
    assert sheet.shape == (LEAST_SIDE, 2 * LEAST_SIDE + GAP, 3)
    source = read_image(root / "artifacts/tasks" / task.image)
    edited = read_image(root / f"artifacts/edits/learned/{task.id}.png")
    for panel, image in ((sheet[:, :LEAST_SIDE], source), (sheet[:, LEAST_SIDE + GAP :], edited)):
        inside = panel[::scale, ::scale][box.top : box.bottom, box.left : box.right]
        assert np.array_equal(inside, image[box.top : box.bottom, box.left : box.right])
        assert not panel[box.top * scale - 1, box.left * scale : box.right * scale].any()


def test_boxes_need_their_table(root: Path) -> None:
    assert chosen_boxes(root, "learned", proposals="dino")["t0"] == Box(4, 8, 20, 28)
    (root / "artifacts/tables/dino/t0.safetensors").unlink()
    assert set(chosen_boxes(root, "learned", proposals="dino")) == {"t1", "t2", "t3"}


def test_no_two_variants_share_a_colour() -> None:
    taken: set[str] = set()
    for _ in range(4 * len(COLOURS)):
        colour = free_colour(taken)
        assert colour not in taken
        taken.add(colour)


def test_outside_a_repository_the_commit_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("DVC_EXP_NAME", "one")
    found = describe(tmp_path)
    assert (found["commit"], found["dirty"], found["experiment"]) == ("unknown", "unknown", "one")
    assert found["device"]
