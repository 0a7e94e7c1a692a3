"""`lr-edit edit` of many pictures: one that cannot be edited stops no other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lr_edit.editor import Editor
from lr_edit.errors import UserError
from lr_edit.request import read_picture
from lr_edit.result import save_picture
from tests.cli.test_edit import Captured, edit, image, refused
from tests.source_tree import ROOT
from tests.tiny import run

__all__ = ["image"]


def test_the_others_are_edited_where_one_cannot_be(tiny_root: Path, capsys: Captured) -> None:
    """A budget that is enough for a box of theirs, and for none of a drawing without a thing."""
    images = tiny_root / "data/images"
    others = [images / "eval-000.png", images / "eval-001.png"]
    real = Editor.__call__

    def refuse(self: Editor, image: str, *args: Any, **how: Any) -> Any:
        if Path(image).name == "odd.png":
            raise UserError("a budget of 10 is too small")
        return real(self, image, *args, **how)

    shutil.copy(others[0], images / "odd.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Editor, "__call__", refuse)
        words = [*edit(others[0], images / "odd.png", others[1]), "--budget", "12"]
        assert run(tiny_root, *words) == 2
    streams = capsys.readouterr()
    assert len(streams.out.splitlines()) == 2
    assert f"{images / 'odd.png'}: a budget of 10 is too small" in streams.err


def test_empty_words_are_refused_before_a_model_is_loaded(
    capsys: Captured, root: Path, image: Path
) -> None:
    said = refused(capsys, root, "edit", str(image), "--source", " ", "--prompt", "a fish")
    assert "may not be empty" in said


def test_a_number_is_written_as_people_do(capsys: Captured, root: Path, image: Path) -> None:
    assert "whole pixels" in refused(capsys, root, *edit(image), "--box", "1_0,2,30,40")
    assert "whole pixels" in refused(capsys, root, *edit(image), "--box", "٣,2,30,40")


def test_a_way_through_a_folder_that_is_not_there_overwrites_nothing(
    tiny_root: Path, capsys: Captured
) -> None:
    """`new/..` is nowhere until `new` is made, which writing does."""
    image = tiny_root / "data/images/eval-000.png"
    other = tiny_root / "data/images/eval-001.png"
    before = image.read_bytes(), other.read_bytes()
    for name, said in ((image, "is the picture that is edited"), (other, "is there already")):
        place = name.parent / "new" / ".." / name.name
        assert said in refused(capsys, tiny_root, *edit(image), "--output", str(place))
        picture = Image.new("RGB", (4, 4))
        with pytest.raises(UserError, match=said):
            save_picture(picture, place, source=image)
    assert (image.read_bytes(), other.read_bytes()) == before
    assert not (image.parent / "new").exists()


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "b/" * 3000 + "c.png"])
def test_a_name_that_no_disk_takes_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        save_picture(Image.new("RGB", (4, 4)), Path(name))
    with pytest.raises(UserError, match="cannot be read"):
        read_picture(name)


@pytest.mark.parametrize(
    ("picture", "said"),
    [(Image.new("RGB", (0, 4)), "has no pixel"), (Image.new("La", (4, 4)), "mode La is not read")],
)
def test_a_pillow_picture_that_is_none_is_one_sentence(picture: Image.Image, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_picture(picture)


def test_memory_is_a_dict() -> None:
    """In a process of its own, without the type checks of the suite: as users have it."""
    program = "from lr_edit import load_config; load_config().models.with_memory([1])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "UserError: memory [1]: give a dict" in done.stderr


def test_a_stopped_command_says_what_is_edited(tiny_root: Path, capsys: Captured) -> None:
    images = [tiny_root / f"data/images/eval-00{n}.png" for n in range(2)]
    real = Editor.__call__

    def stop(self: Editor, image: str, *args: Any, **how: Any) -> Any:
        if Path(image) == images[1]:
            raise KeyboardInterrupt
        return real(self, image, *args, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Editor, "__call__", stop)
        patch.setattr("signal.signal", lambda *_: None)
        assert run(tiny_root, *edit(*images)) == 130
    streams = capsys.readouterr()
    assert len(streams.out.splitlines()) == 1
    assert "stopped; 1 of 2 images are edited; name the others to go on" in streams.err


def test_a_mode_is_refused_beside_boxes_of_your_own(tiny_root: Path, capsys: Captured) -> None:
    words = [*edit(tiny_root / "data/images/eval-000.png"), "--box", "0,0,32,32"]
    for mode in ("race", "paper", "enumerate"):
        said = refused(capsys, tiny_root, *words, "--mode", mode)
        assert "leave out mode and budget" in said


def test_nothing_is_overwritten_and_no_option_ignored(
    capsys: Captured, root: Path, image: Path
) -> None:
    folder = root / "out"
    said = refused(capsys, root, *edit(image), "--output", str(folder), "--overwrite")
    assert "--overwrite is for the one file" in said
    link = root / "edit.png"
    link.symlink_to(root / "nowhere.png")
    assert "is there already" in refused(capsys, root, *edit(image), "--output", str(link))
    assert link.is_symlink()


def test_a_picture_s_name_that_ends_as_a_folder_s_is_a_folder(tiny_root: Path) -> None:
    image = tiny_root / "data/images/eval-000.png"
    assert run(tiny_root, *edit(image), "--output", f"{tiny_root / 'note.png'}/") == 0
    assert (tiny_root / "note.png").is_dir()


def test_fewer_candidates_than_were_asked_for_are_said(tiny_root: Path, capsys: Captured) -> None:
    image = tiny_root / "data/images/eval-000.png"
    words = [*edit(image), "--box", "8,8,40,40", "--n", "3", "-o", str(tiny_root / "out")]
    assert run(tiny_root, *words) == 0
    assert "1 of the 3 that were asked for" in capsys.readouterr().err


@pytest.mark.long
def test_two_commands_at_once_write_two_files(tiny_root: Path) -> None:
    image = tiny_root / "data/images/eval-000.png"
    code = "from lr_edit.cli.start import main; main()"
    words = [sys.executable, "-c", code, "--root", str(tiny_root), *edit(image)]
    both = [subprocess.Popen([*words, "--box", "8,8,40,40", "--seed", str(at)]) for at in range(2)]
    assert [one.wait(240) for one in both] == [0, 0]
    assert len(list(image.parent.glob("eval-000.edit*.png"))) == 2
