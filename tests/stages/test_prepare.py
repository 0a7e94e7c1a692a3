"""prepare: nothing that an input says becomes the path of an output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_errors import Captured, change_params, change_tasks, refused
from tests.tiny import run


@pytest.mark.parametrize("above", range(1, 12))
@pytest.mark.parametrize("form", ["released", "ours"])
def test_no_number_of_steps_up_leads_prepare_to_the_user_s_photo(
    root: Path, capsys: Captured, above: int, form: str
) -> None:
    photo = next((root / "data/images").iterdir())
    before = photo.read_bytes()
    name = "../" * above + photo.as_posix().lstrip("/")
    if form == "ours":
        change_tasks(root, image=name)
    else:
        (root / "data/tasks.json").unlink()
        (root / "data/images.json").write_text(json.dumps({name: ["a boat", "a fish"]}))
    assert "leaves data/" in refused(capsys, root, "stage", "prepare")
    assert photo.read_bytes() == before


def test_what_prepare_writes_is_named_by_us(root: Path) -> None:
    tasks = json.loads((root / "data/tasks.json").read_text())
    deep = root / "data/a b/ä"
    deep.mkdir(parents=True)
    shutil.move(root / "data" / tasks[0]["image"], deep / "photo.PNG")
    change_tasks(root, image="a b/ä/photo.PNG")
    assert run(root, "stage", "prepare") == 0
    made = {p.relative_to(root / "artifacts/tasks").as_posix()
            for p in (root / "artifacts/tasks").rglob("*") if p.is_file()}  # fmt: skip
    assert made == {"tasks.json", *(f"images/{task['id']}.png" for task in tasks)}


@pytest.mark.parametrize("data", ["artifacts/tasks", "artifacts/tasks/images", "artifacts", "."])
def test_data_where_prepare_writes_is_refused_before_anything_is_emptied(
    root: Path, capsys: Captured, data: str
) -> None:
    shutil.copytree(root / "data", root / "artifacts/tasks/images")
    kept = sorted(root.rglob("*"))
    change_params(root, lambda p: p["profiles"]["picturebook"].update(data=data))
    assert "are one: move it" in refused(capsys, root, "stage", "prepare")
    assert sorted(root.rglob("*")) == kept


def test_a_true_box_outside_its_picture_is_refused(root: Path, capsys: Captured) -> None:
    path = root / "data/tasks.json"
    tasks = json.loads(path.read_text())
    tasks[0]["truth"]["box"]["right"] = 65
    path.write_text(json.dumps(tasks))
    assert "leaves the image of 64x64" in refused(capsys, root, "stage", "prepare")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["prepare"], "tasks"),
        (["candidates", "--proposals", "dino"], "candidates/dino"),
        (["judge", "--proposals", "dino"], "judge/dino"),
        (["train", "--variant", "learned"], "nets/learned"),
        (["edit", "--variant", "learned"], "edits/learned"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_stage_that_cannot_run_leaves_what_was_finished(
    root: Path, capsys: Captured, words: list[str], place: str
) -> None:
    """What it stands on is not here, as after a pull, which brings no candidates."""
    (root / "data/tasks.json").unlink()
    out = root / "artifacts" / place
    out.mkdir(parents=True, exist_ok=True)
    (out / "finished.json").write_text("{}")
    refused(capsys, root, "stage", *words)
    assert [path.name for path in out.iterdir()] == ["finished.json"]
    assert not list(out.parent.glob(".*.part"))


def test_options_of_a_stage_that_would_do_nothing_are_refused(root: Path, capsys: Captured) -> None:
    said = refused(capsys, root, "stage", "evaluate", "--variant", "learned", "--executor", "ray")
    assert "takes no --executor" in said
    said = refused(capsys, root, "stage", "candidates", "--proposals", "dino", "--address", "x:1")
    assert "--address is a Ray head's" in said
