"""`lr-edit edit` of many pictures: one that cannot be edited stops no other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lr_edit.editor import Editor
from lr_edit.errors import UserError
from tests.cli.test_edit import Captured, edit, image, refused
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


def test_a_number_is_written_as_people_do(capsys: Captured, root: Path, image: Path) -> None:
    assert "whole pixels" in refused(capsys, root, *edit(image), "--box", "1_0,2,30,40")
