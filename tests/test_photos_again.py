"""`lr-edit data add` again and again: what a task is known by, and who may write its list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from lr_edit.workspace.storage import find_tasks
from tests.test_own_photos import Captured, add, photos

__all__ = ["photos"]


def table(photos: Path, *lines: str) -> None:
    (photos / "edits.csv").write_text("\n".join(["image,source,prompt", *lines]))


def edits_of(photos: Path) -> dict[str, tuple[str, str, str]]:
    """Id -> its photo and words."""
    return {t.id: (t.image.as_posix(), t.source, t.prompt) for t in find_tasks(photos)}


def test_a_task_is_known_by_its_photo_and_not_by_its_place_in_a_table(
    root: Path, photos: Path, capsys: Captured
) -> None:
    (photos / "sub").mkdir()
    Image.effect_noise((96, 64), 40).save(photos / "sub/boat.png")
    table(photos, "boat.png,a,x", "sub/boat.png,s,t")
    assert add(root, photos) == 0
    table(photos, "sub/boat.png,s,u")
    assert add(root, photos) == 2 and "'s' -> 't'" in capsys.readouterr().err
    assert add(root, photos, "--overwrite") == 0 and "1 replaced" in capsys.readouterr().out
    assert edits_of(photos) == {
        "boat": ("boat.png", "a", "x"),
        "boat-2": ("sub/boat.png", "s", "u"),
    }


def test_lines_may_change_places_and_go(root: Path, photos: Path, capsys: Captured) -> None:
    table(photos, "boat.png,a,x", "boat.png,b,y")
    assert add(root, photos) == 0
    kept = json.loads((photos / "tasks.json").read_text())
    kept[0] |= {"category": "replace", "split": "val", "caption": "a boat on water"}
    (photos / "tasks.json").write_text(json.dumps(kept))
    before = (photos / "tasks.json").read_bytes()
    for lines in (["boat.png,b,y"], ["boat.png,b,y", "boat.png,a,x"]):
        table(photos, *lines)
        assert add(root, photos) == 0 and "0 added" in capsys.readouterr().out
        assert (photos / "tasks.json").read_bytes() == before
    table(photos, "boat.png,c,z", "boat.png,a,x2", "boat.png,b,y")
    assert add(root, photos, "--overwrite") == 0
    assert edits_of(photos) == {
        "boat": ("boat.png", "c", "z"),
        "boat-2": ("boat.png", "b", "y"),
        "boat-3": ("boat.png", "a", "x2"),
    }
    first = find_tasks(photos)[0]
    assert (first.category, first.split, first.caption) == ("replace", "val", "a boat on water")


def test_one_of_several_edits_is_replaced_where_it_is_known_which(
    root: Path, photos: Path, capsys: Captured
) -> None:
    table(photos, "boat.png,a,x", "boat.png,b,y")
    assert add(root, photos) == 0
    before = (photos / "tasks.json").read_bytes()
    table(photos, "boat.png,c,z")
    assert add(root, photos, "--overwrite") == 2
    assert "it could replace any of boat, boat-2" in capsys.readouterr().err
    assert (photos / "tasks.json").read_bytes() == before
    table(photos, "boat.png,b,y", "boat.png,c,z")
    assert add(root, photos, "--overwrite") == 0
    assert "1 replaced (boat), 1 there already" in capsys.readouterr().out


def test_equal_words_with_other_boxes_are_two_edits(root: Path, photos: Path) -> None:
    (photos / "edits.csv").write_text(
        'image,source,prompt,box\nboat.png,a,x,"0,0,32,32"\nboat.png,a,x,"32,0,64,32"\n'
    )
    assert add(root, photos) == 0 and len(find_tasks(photos)) == 2


def test_a_list_that_is_a_link_out_of_the_folder_is_not_written(
    root: Path, photos: Path, capsys: Captured
) -> None:
    (photos / "tasks.json").symlink_to(root / "outside.json")
    table(photos, "boat.png,a,x")
    assert add(root, photos) == 2 and "leaves photos" in capsys.readouterr().err
    assert not (root / "outside.json").exists()


def test_many_at_once_lose_nothing(root: Path, photos: Path) -> None:
    code = "from lr_edit.cli.start import main; main()"
    words = [sys.executable, "-c", code, "--root", str(root), "data", "add",
             str(photos / "boat.png"), "--profile", "sd2", "--prompt", "a swan"]  # fmt: skip
    many = [subprocess.Popen([*words, "--source", f"a boat {at}"]) for at in range(4)]
    assert [one.wait(120) for one in many] == [0] * 4
    assert {task.source for task in find_tasks(photos)} == {f"a boat {at}" for at in range(4)}


def test_another_box_is_said_as_that(root: Path, photos: Path, capsys: Captured) -> None:
    for box in ("0,0,32,32", "0,0,48,48"):
        (photos / "edits.csv").write_text(f'image,source,prompt,box\nboat.png,a,x,"{box}"\n')
        code = add(root, photos)
    assert code == 2 and "is there already with another box" in capsys.readouterr().err
