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
