"""Candidates by a detector and by an editor: the same stage, files and judges as all others'."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lr_edit.config import load_config
from lr_edit.stages.candidates import CandidateMaker
from lr_edit.workspace.storage import read_banks, read_tensors, study_image, study_tasks
from tests.cli.test_errors import change_tasks
from tests.tiny import run, tiny_params, write_params

SETS = {
    "detected": {"anchors": "detector", "boxes": "detected", "propose": {"points": 2}},
    "instructed": {"anchors": "whole", "boxes": "whole", "draws": 2, "inpaint": {"guided": 1.0}},
}


@pytest.fixture
def study(tiny_root: Path) -> Path:
    """The tiny study with both sets, prepared; its detector is a copy, so that it may change."""
    home = tiny_root / "models/picturebook"
    source = home.resolve()
    home.unlink()
    home.mkdir()
    for part in source.iterdir():
        if part.name == "detector":
            shutil.copytree(part, home / part.name)
        else:
            (home / part.name).symlink_to(part)
    params = tiny_params()
    params["proposals"] |= SETS
    write_params(tiny_root, params)
    change_tasks(tiny_root, prompt="a blue fish " * 40 + "on snow")
    assert run(tiny_root, "stage", "prepare") == 0
    return tiny_root


def keys(root: Path) -> dict[str, str]:
    config, (task, _) = load_config(root / "params.yaml"), study_tasks(root)
    image = study_image(root, task)
    names = ("dino", *SETS)
    return {name: CandidateMaker(root, config, name=name).key(task, image) for name in names}


@pytest.mark.parametrize(("name", "each"), [("detected", 4), ("instructed", 6)])
def test_the_stage_makes_scores_and_judges_them(study: Path, name: str, each: int, capsys) -> None:
    assert run(study, "stage", "candidates", "--proposals", name) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "longer than" in line]
    assert len(said) == 1 and "the prompt of task" in said[0] and "on snow" in said[0]
    tasks = study_tasks(study)
    for task, bank in zip(tasks, read_banks(study, name, tasks=tasks), strict=True):
        count = len(bank.boxes)
        assert 1 <= count <= 2 and bank.nfe == each * count
        place = study / f"artifacts/candidates/{name}/{task.id}.safetensors"
        assert read_tensors(place)["images"].shape[:2] == (count, 1)
        assert (bank.ground is not None) == (name == "detected")
    assert run(study, "stage", "judge", "--proposals", name) == 0
    capsys.readouterr()
    assert run(study, "stage", "candidates", "--proposals", name) == 0
    assert "nothing changed" in capsys.readouterr().err


def test_a_key_holds_the_models_of_its_own_set_and_no_others(study: Path) -> None:
    before = keys(study)
    with (study / "models/picturebook/detector/config.json").open("a") as file:
        file.write("\n")
    after = keys(study)
    assert {name for name in before if before[name] != after[name]} == {"detected"}


def test_a_profile_that_lacks_the_model_is_told_so(study: Path, capsys) -> None:
    params = tiny_params()
    params["proposals"] |= SETS
    params["profiles"]["picturebook"] |= {"detector": None}
    write_params(study, params)
    assert run(study, "stage", "candidates", "--proposals", "detected") == 2
    assert "the profile names no `detector`: add one, or drop the rows" in capsys.readouterr().err
