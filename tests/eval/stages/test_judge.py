"""judge@proposals on stand-in judges: a table a task, and nothing judged twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.stages import judge
from eval.study.judging import JUDGED, JudgeNets
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.profiles import Profile
from lr_edit.stages import edit
from lr_edit.workspace.storage import read_tensors, study_tasks, write_tensors
from tests.eval.artifact_tree import POINTS, SIDE, SIZES, make_tree, small_config
from tests.eval.networks import FakeClip, FakeDino, FakeJudge, FakeLpips


def quietly(items: Iterable, label: str, total: int | None = None) -> Iterator:
    return iter(items)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Config, list[Profile]]:
    """A checkout with candidates, its configuration, and a list that grows as judges are loaded."""
    config, loaded = small_config(), list[Profile]()
    make_tree(tmp_path, config)
    rng = np.random.default_rng(1)
    for task in study_tasks(tmp_path):
        images = rng.integers(0, 256, (POINTS, SIZES["dino"], 3, SIDE, SIDE), dtype=np.uint8)
        path = tmp_path / f"artifacts/candidates/dino/{task.id}.safetensors"
        write_tensors(path, {"images": images})
    for role, weights in config.models.judges:
        folder = tmp_path / weights.name.removeprefix("local-dir:")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights").write_text(role)

    def load(root: Path, profile: Profile) -> JudgeNets:
        loaded.append(profile)
        return JudgeNets(FakeClip(), FakeDino(), FakeLpips(), FakeJudge())

    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(judge, "load_judges", load)
    return tmp_path, config, loaded


def test_every_task_gets_its_table(study: tuple[Path, Config, list[Profile]]) -> None:
    root, config, _ = study
    judge.run(root, config, name="dino", track=quietly)
    for task in study_tasks(root):
        table = read_tensors(root / f"artifacts/judge/dino/{task.id}.safetensors")
        assert set(table) == set(JUDGED)
        assert table["clip_whole"].shape == (POINTS, SIZES["dino"])


def test_candidates_of_another_set_are_neither_judged_nor_an_edit(
    study: tuple[Path, Config, list[Profile]],
) -> None:
    root, config, _ = study
    path = root / "artifacts/candidates/dino/eval-001.safetensors"
    write_tensors(path, {"images": read_tensors(path)["images"][:, :1]})
    with pytest.raises(UserError, match=r"eval-001.* the 3x6 candidates .* stage candidates again"):
        judge.run(root, config, name="dino", track=quietly)
    with pytest.raises(UserError, match=r"eval-001.* the 3x6 candidates .* stage candidates again"):
        edit.run(root, config, name="argmin-table")


def test_an_image_of_another_size_than_its_candidates_is_named(
    study: tuple[Path, Config, list[Profile]],
) -> None:
    root, config, _ = study
    path = root / "artifacts/tasks/images/eval-001.png"
    whole = path.read_bytes()
    try:
        Image.new("RGB", (33, 32)).save(path)
        with pytest.raises(UserError, match=r"'eval-001' is 33x32, its candidates 'dino' are not"):
            judge.run(root, config, name="dino", track=quietly)
    finally:
        path.write_bytes(whole)


def test_nothing_is_judged_twice_unless_its_judges_or_pixels_change(
    study: tuple[Path, Config, list[Profile]],
) -> None:
    root, config, loaded = study
    judge.run(root, config, name="dino", track=quietly)
    judge.run(root, config, name="dino", track=quietly)
    assert len(loaded) == 1
    (root / config.models.judges.clip.name.removeprefix("local-dir:") / "weights").write_text("new")
    judge.run(root, config, name="dino", track=quietly)
    assert len(loaded) == 2
    path = root / "artifacts/candidates/dino/eval-000.safetensors"
    write_tensors(path, {"images": 255 - read_tensors(path)["images"]})
    judge.run(root, config, name="dino", track=quietly)
    assert len(loaded) == 3
