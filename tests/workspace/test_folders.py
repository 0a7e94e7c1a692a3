"""A folder is whole, or as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lr_edit.workspace.folders import new_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, name: str) -> None:
    with new_folder(folder) as part:
        (part / name).write_text(name)


def test_it_takes_the_place_of_the_last_one_at_the_end(tmp_path: Path) -> None:
    fill(tmp_path / "out", "a")
    with new_folder(tmp_path / "out") as part:
        (part / "b").write_text("b")
        assert names(tmp_path / "out") == ["a"]
    assert names(tmp_path / "out") == ["b"] and names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_where_it_fails(tmp_path: Path, error: type[BaseException]) -> None:
    fill(tmp_path / "out", "a")
    with pytest.raises(error), new_folder(tmp_path / "out") as part:
        (part / "b").write_text("b")
        raise error
    assert names(tmp_path / "out") == ["a"] and names(tmp_path) == ["out"]


def test_many_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: fill(tmp_path / "out", str(at)), range(40)))
    assert len(names(tmp_path / "out")) == 1 and names(tmp_path) == ["out"]


def test_what_a_killed_writer_left_goes_and_one_at_work_keeps_its_own(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    for writer in (gone, str(os.getpid())):
        (tmp_path / f".out.{writer}.0.part").mkdir()
    fill(tmp_path / "out", "a")
    assert names(tmp_path) == [f".out.{os.getpid()}.0.part", "out"]


def test_a_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/kept").write_text("kept")
    (tmp_path / "out").symlink_to(tmp_path / "far")
    fill(tmp_path / "out", "a")
    assert names(tmp_path / "out") == ["a"] and names(tmp_path / "far") == ["kept"]
    assert not (tmp_path / "out").is_symlink()
