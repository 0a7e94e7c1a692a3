"""Sixty criteria stand in for the paper's unreleased pairs; a folder of photos becomes tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from eval.external.photos import CRITERIA, criteria, write_photo_tasks
from lr_edit.cli.main import main
from lr_edit.errors import UserError
from lr_edit.types import EditTask
from lr_edit.workspace.overlay import study_files
from lr_edit.workspace.storage import find_tasks, read_image, write_image, write_tasks
from tests.source_tree import ROOT


def test_there_are_sixty_with_an_id_a_photo_and_words_of_their_own() -> None:
    rows = criteria()
    assert (
        len(rows) == len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 60
    )
    assert all(set(row) == {"id", "category", "photo", "source", "prompt"} for row in rows)
    assert all(all(row.values()) for row in rows)
    assert "never released" in CRITERIA.read_text()


def test_photos_become_tasks_and_missing_ones_are_named(tmp_path: Path, capsys) -> None:
    first, second = (row["id"] for row in criteria()[:2])
    write_image(tmp_path / f"{first}.png", np.zeros((30, 40, 3), dtype=np.uint8))
    main(["photos", str(tmp_path)])
    said = capsys.readouterr()
    assert "1 of the list, 1 tasks in all" in said.out
    assert "59 photos are missing" in said.err and second in said.err
    (task,) = find_tasks(tmp_path)
    assert task.id == first and read_image(tmp_path / task.image).shape == (30, 40, 3)


def test_tasks_that_are_there_keep_their_words(tmp_path: Path) -> None:
    """`lr-edit photos FOLDER` once wrote over a tasks.json of the user's."""
    first, second = (row["id"] for row in criteria()[:2])
    for name in (first, second, "mine"):
        write_image(tmp_path / f"{name}.png", np.zeros((2, 2, 3), dtype=np.uint8))
    own = [EditTask(name, Path(f"{name}.png"), "a hat", "a cap") for name in ("mine", first)]
    write_tasks(tmp_path / "tasks.json", own)
    write_photo_tasks(tmp_path)
    words = {task.id: task.source for task in find_tasks(tmp_path)}
    assert set(words) == {first, second, "mine"} and words[first] == words["mine"] == "a hat"


def test_a_folder_without_such_photos_and_two_photos_of_one_task_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match="has no photo named by a task's id"):
        write_photo_tasks(tmp_path)
    for end in ("png", "jpg"):
        write_image(tmp_path / f"{criteria()[0]['id']}.{end}", np.zeros((2, 2, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="are one task"):
        write_photo_tasks(tmp_path)


def test_a_study_of_photos_leaves_out_what_needs_true_boxes(tmp_path: Path) -> None:
    (tmp_path / "lr_edit/stages").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", "lr_edit/stages/extra.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    photos = tmp_path / "photos"
    write_image(photos / f"{criteria()[0]['id']}.png", np.zeros((2, 2, 3), dtype=np.uint8))
    write_photo_tasks(photos)
    files = study_files(tmp_path, "sd2", profile="sd2", data=photos)
    params = yaml.safe_load(files["params.yaml"])
    sets = {row["boxes"] for row in params["proposals"].values()}
    assert "truth" not in sets and "squares" in sets
    kept = {row["proposals"] for row in params["variants"].values()}
    assert kept <= set(params["proposals"]) and "learned" in params["variants"]
