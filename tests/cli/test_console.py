"""What a terminal is shown: nobody's words steer it, whatever it can print; and words as typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lr_edit.cli.console import NOTICES, as_words, say_notices, show, show_share, track
from lr_edit.errors import Notice, UserError
from tests.cli.test_errors import edit, refused
from tests.eval.picture_folder import pictures
from tests.source_tree import ROOT
from tests.tiny import run

Captured = pytest.CaptureFixture[str]
STEERING = "\x1b[31m\u202ered"


@pytest.mark.parametrize("name", ["[ours]", "[/ours]", "a[/x].png", ":smile:", STEERING])
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_a_name_as_it_is(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, name: str, *, terminal: bool
) -> None:
    if terminal:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
    with show_share(name) as tell:
        tell(1.0, f"then {name}")
    said = capsys.readouterr().err
    shown = "\\u001b[31m\\u202ered" if name == STEERING else name
    assert f"{shown} then {shown}" in said and "\u202e" not in said and "\x1b[31m\u202e" not in said
    assert list(track([1, 2], name)) == [1, 2]


def test_a_result_steers_no_terminal(capsys: Captured) -> None:
    show(f"one\n{STEERING}")
    assert capsys.readouterr().out == "one\n\\u001b[31m\\u202ered\n"


def test_of_many_notices_that_end_alike_the_first_few_are_said(capsys: Captured) -> None:
    with say_notices():
        for name in (*range(9), *range(9)):
            warnings.warn(f"edit {name}.png: what is transparent is taken for white", Notice, 1)
        warnings.warn("another", Notice, 1)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == NOTICES + 2 and said[NOTICES] == "lr-edit: another"
    assert said[-1] == "lr-edit: 4 more: what is transparent is taken for white"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_are_what_was_typed_in_any_locale(text: str) -> None:
    assert as_words(text) == text
    assert as_words(text.encode().decode("ascii", "surrogateescape")) == text


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb"])
def test_what_is_no_text_is_refused(root: Path, capsys: Captured, text: str) -> None:
    with pytest.raises(UserError, match="no text in UTF-8"):
        as_words(text)
    image = next((root / "data/images").iterdir())
    assert "no text in UTF-8" in refused(capsys, root, *edit(image, text))


def test_words_of_another_script_pass_a_console_without_it(tmp_path: Path) -> None:
    pictures(tmp_path)
    code = "import sys; from lr_edit.cli.main import main; main(sys.argv[1:])"
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", "--dataset", f"csv:{tmp_path}", "--edits",
         str(tmp_path / "edits"), "--variant", "čaj", "--check", "--json"],
        capture_output=True, timeout=300, cwd=tmp_path,
        env={**os.environ, **plain, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert list(json.loads(done.stdout)) == ["čaj"], done.stderr


@pytest.mark.parametrize(
    "words",
    [
        edit(f"{'a' * 300}.png"),
        [*edit("{image}"), "--output", f"{'a' * 300}.png"],
        [*edit("{image}"), "--mask", f"{'a' * 300}.png"],
        ["--root", "a" * 300, "where"],
        ["evaluate", "--dataset", "csv:none", "--edits", "a" * 300],
        ["evaluate", "--dataset", f"csv:{'a' * 300}", "--edits", "."],
        ["score", f"{'a' * 300}.png", "{image}"],
    ],
)
def test_a_name_that_is_too_long_is_the_users_to_mend(
    root: Path, capsys: Captured, words: list[str]
) -> None:
    image = next((root / "data/images").iterdir())
    refused(capsys, root, *(word.format(image=image) for word in words))


def test_a_loop_of_links_is_the_users_to_mend(root: Path, capsys: Captured) -> None:
    (root / "loop.png").symlink_to(root / "loop.png")
    assert "loop.png" in refused(capsys, root, *edit(root / "loop.png"))
    assert run(root, "--root", str(root / "loop.png"), "where") == 2
