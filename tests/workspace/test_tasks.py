"""Tasks on disk: what an input says is checked, and leads nowhere but into its own folder."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lr_edit.errors import UserError
from lr_edit.types import Box, EditTask, Label, Truth
from lr_edit.workspace.storage import (
    read_tasks,
    write_tasks,
)
from tests.source_tree import ROOT

few = hypothesis_settings(max_examples=25)

# Alphabets by hand: hypothesis' Unicode tables take long to build.
words = st.text("aZ0 \"\\/{}'\n\tä字🐟", min_size=1, max_size=8).filter(lambda s: bool(s.strip()))

names = st.text("aZ0_-.", max_size=8).map(lambda rest: f"a{rest}")

corners = st.tuples(
    st.integers(0, 99), st.integers(0, 99), st.integers(100, 199), st.integers(100, 199)
)

labels = st.tuples(words, words)

truths = st.tuples(
    st.none() | corners, st.none() | labels, st.lists(st.tuples(labels, corners), max_size=2)
)

tasks = st.tuples(names, words, words, st.none() | words, st.none() | truths)


def truth_of(box: tuple | None, wanted: tuple | None, bystanders: list) -> Truth:
    return Truth(
        box=Box(*box) if box else None,
        wanted=Label(*wanted) if wanted else None,
        bystanders=tuple((Label(*label), Box(*place)) for label, place in bystanders),
    )


def task_of(name: str, source: str, prompt: str, caption: str | None, truth: Any) -> EditTask:
    image = Path("images") / f"{name}.png"
    known = truth_of(*truth) if truth else None
    return EditTask(name, image, source, prompt, caption=caption, truth=known)


@pytest.fixture
def task() -> dict:
    return {"id": "a", "image": "images/a.png", "source": "a boat", "prompt": "a fish"}


def tasks_file(folder: Path, *rows: dict) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps(list(rows)))
    return path


@few
@given(st.lists(tasks, max_size=3, unique_by=lambda parts: parts[0]))
def test_tasks_come_back_as_they_were(drawn: list) -> None:
    rows = [task_of(*parts) for parts in drawn]
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(Path(folder) / "tasks.json", rows)
        assert read_tasks(Path(folder) / "tasks.json") == rows


@pytest.mark.parametrize("key", ["id", "image", "source", "prompt"])
@pytest.mark.parametrize("value", ["", "  ", None])
def test_an_empty_field_is_named(tmp_path: Path, task: dict, key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"empty '{key}'"):
        read_tasks(tasks_file(tmp_path, task | {key: value}))


@pytest.mark.parametrize("key", ["id", "image", "source", "prompt", "category", "split"])
@pytest.mark.parametrize("value", [5, 0, False, ["x"], [], {}])
def test_what_is_no_text_is_said_to_be_none(
    tmp_path: Path, task: dict, key: str, value: object
) -> None:
    with pytest.raises(UserError, match=re.escape(f"'{key}' must be a text, got {value}")):
        read_tasks(tasks_file(tmp_path, task | {key: value}))


@pytest.mark.parametrize("image", ["/etc/a.png", "../a.png", "images/../../a.png"])
def test_an_image_outside_the_data_folder_is_refused(
    tmp_path: Path, task: dict, image: str
) -> None:
    with pytest.raises(UserError, match="leaves"):
        read_tasks(tasks_file(tmp_path, task | {"image": image}))


def test_a_link_out_of_the_data_folder_is_refused(tmp_path: Path, task: dict) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "images").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leaves"):
        read_tasks(tasks_file(data, task))


@pytest.mark.parametrize("name", ["a/b", "..", ".a", "a b", "a\\b"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, task: dict, name: str) -> None:
    with pytest.raises(UserError, match="may hold letters"):
        read_tasks(tasks_file(tmp_path, task | {"id": name}))


def test_a_repeated_id_an_unknown_key_and_other_shapes_are_refused(
    tmp_path: Path, task: dict
) -> None:
    with pytest.raises(UserError, match="more than once"):
        read_tasks(tasks_file(tmp_path, task, task))
    with pytest.raises(UserError, match="unknown key 'promt'"):
        read_tasks(tasks_file(tmp_path, task | {"promt": "a fish"}))
    with pytest.raises(UserError, match="must be a mapping"):
        read_tasks(tasks_file(tmp_path, ["a"]))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="malformed truth"):
        read_tasks(tasks_file(tmp_path, task | {"truth": {"box": 3}}))
    (tmp_path / "tasks.json").write_text("3")
    with pytest.raises(UserError, match="must hold a list"):
        read_tasks(tmp_path / "tasks.json")


def test_the_released_form_is_read(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text(json.dumps({"1.png": ["trees", "a big tree"]}))
    assert read_tasks(path) == [EditTask("1", Path("1.png"), "trees", "a big tree")]
    path.write_text(json.dumps({"1.png": ["trees", " "]}))
    with pytest.raises(UserError, match="empty 'prompt'"):
        read_tasks(path)
    path.write_text(json.dumps({"1.png": "trees"}))
    with pytest.raises(UserError, match="must map to"):
        read_tasks(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("category", 3), ("split", None), ("caption", 3), ("prompt", "half \ud800"),
     ("source", "\udfff"), ("id", "n" * 201), ("image", "a\0b"), ("image", "."),
     ("image", "\ud800")],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused(
    tmp_path: Path, task: dict, key: str, value: object
) -> None:
    with pytest.raises(UserError, match=r"tasks\.json: task '") as caught:
        read_tasks(tasks_file(tmp_path, task | {key: value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("box", [{"left": 0.5, "top": 0, "right": 2, "bottom": 2},
                                 {"left": "0", "top": 0, "right": 2, "bottom": 2}])  # fmt: skip
def test_a_box_of_other_than_whole_pixels_is_refused(tmp_path: Path, task: dict, box: dict) -> None:
    truth: dict[str, object] = {"box": box, "wanted": None, "bystanders": []}
    with pytest.raises(UserError, match="malformed truth"):
        read_tasks(tasks_file(tmp_path, task | {"truth": truth}))


BOX, LABEL = {"left": 0, "top": 0, "right": 2, "bottom": 2}, {"kind": "cup", "colour": "red"}
WHOLE: dict[str, object] = {"box": BOX, "wanted": LABEL, "bystanders": [[LABEL, BOX]]}


@pytest.mark.parametrize("value", [[1, 2, 3, 4], 5, 0, True, False, "x", "", [], {}])
@pytest.mark.parametrize("part", ["truth", "box", "wanted", "a bystander's label",
                                  "a bystander's box", "bystanders"])  # fmt: skip
def test_a_part_of_a_truth_is_what_it_must_be_or_null(
    tmp_path: Path, task: dict, part: str, value: object
) -> None:
    truths: dict[str, object] = {
        "truth": value,
        "a bystander's label": WHOLE | {"bystanders": [[value, BOX]]},
        "a bystander's box": WHOLE | {"bystanders": [[LABEL, value]]},
    }
    truth = truths.get(part, WHOLE | {part: value})
    if (part, value) == ("bystanders", []):  # there are none
        assert read_tasks(tasks_file(tmp_path, task | {"truth": truth}))
        return
    with pytest.raises(UserError, match=r"malformed truth \((a|bystanders) .*\): write box"):
        read_tasks(tasks_file(tmp_path, task | {"truth": truth}))


def test_null_is_no_truth_or_no_part_of_one(tmp_path: Path, task: dict) -> None:
    nothing = dict.fromkeys(WHOLE)
    (one,) = read_tasks(tasks_file(tmp_path, task | {"truth": nothing}))
    assert one.truth == Truth(None, None)
    (one,) = read_tasks(tasks_file(tmp_path, task | {"truth": None}))
    assert one.truth is None


@pytest.mark.parametrize("other", ["A", "a"])
def test_ids_that_one_file_could_serve_are_refused(tmp_path: Path, task: dict, other: str) -> None:
    with pytest.raises(UserError, match="more than once"):
        read_tasks(tasks_file(tmp_path, task, task | {"id": other}))
    with pytest.raises(UserError, match="more than once"):
        read_tasks(tasks_file(tmp_path, task | {"id": "\u00e9"}, task | {"id": "e\u0301"}))


def test_twenty_thousand_tasks_and_a_long_text_take_seconds(tmp_path: Path, task: dict) -> None:
    rows = [task | {"id": f"t{n}"} for n in range(20_000)]
    rows[7] |= {"prompt": "x" * 10**7}
    file = tasks_file(tmp_path, *rows)
    code = (  # in a process whose types are not checked, which would take longer than the reading
        "import sys, time; from pathlib import Path;"
        "from lr_edit.workspace.tasks import read_tasks;"
        "start = time.process_time(); n = len(read_tasks(Path(sys.argv[1])));"
        "print(n, time.process_time() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    count, seconds = done.stdout.split()
    assert count == "20000" and float(seconds) < 5


@pytest.mark.parametrize("key", ["source", "prompt", "category", "caption"])
def test_a_zero_in_a_text_is_refused(tmp_path: Path, key: str) -> None:
    task = {"id": "a", "image": "a.png", "source": "a red boat", "prompt": "sand", key: "a\0b"}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    with pytest.raises(UserError, match=f"'{key}' holds a zero"):
        read_tasks(tmp_path / "tasks.json")


@pytest.mark.parametrize("split", ["Dev", "dev ", "", "eval", "тест"])
def test_a_split_that_no_study_reads_is_refused(tmp_path: Path, split: str) -> None:
    task = {"id": "a", "image": "a.png", "source": "a red boat", "prompt": "sand", "split": split}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    with pytest.raises(UserError, match=r"'a' is of the split .*: write train, val, dev, test, or"):
        read_tasks(tmp_path / "tasks.json")
