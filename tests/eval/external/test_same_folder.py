"""What one --out says of what it held before, of what is not its own, and of empty options."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lr_edit.workspace.pictures import write_image
from tests.eval.picture_folder import picture, pictures, run

Captured = pytest.CaptureFixture[str]


def evaluate(home: Path, *words: str | Path) -> int:
    return run("evaluate", "--dataset", f"csv:{home}", *words)


def test_other_edits_under_one_name_are_said(home: Path, capsys: Captured) -> None:
    pictures(home)
    write_image(home / "x/edits/in/0.png", picture(55))
    assert evaluate(home, "--edits", home / "edits", "--metrics", "mse") == 0
    assert "others than" not in capsys.readouterr().err
    assert evaluate(home, "--edits", home / "x/edits", "--metrics", "mse") == 0
    assert "1 edits of 'edits' are others than the table had" in capsys.readouterr().err


def test_rows_of_another_protocol_are_said_to_be_left_out(home: Path, capsys: Captured) -> None:
    pictures(home)
    more: list[str | Path] = ["--metrics", "mse", "--edits", home / "edits", "--variant"]
    assert evaluate(home, *more, "A") == 0
    assert evaluate(home, *more, "B", "--protocol", "pie-bench") == 0
    said = capsys.readouterr().err
    assert "of 'A', 3 rows each, measured by protocol strict" in said
    assert evaluate(home, *more, "A", "--protocol", "pie-bench") == 0
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-3.0", "0.5", "null", '"inf"'])
def test_a_row_that_is_not_what_was_measured_is_measured_again(
    home: Path, capsys: Captured, value: str
) -> None:
    pictures(home)
    words: list[str | Path] = ["--edits", home / "edits", "--metrics", "mse", "--no-page"]
    assert evaluate(home, *words) == 0
    journal, table = home / "evaluation/journal.jsonl", home / "evaluation/per_image.csv"
    before = journal.read_bytes(), table.read_bytes()
    lines = journal.read_text().splitlines(keepends=True)
    lines[-1] = re.sub(r'"row": \[[^,]+', f'"row": [{value}', lines[-1])
    journal.write_text("".join(lines))
    assert journal.read_bytes() != before[0]
    capsys.readouterr()
    assert evaluate(home, *words) == 0
    assert "1 rows are not what was measured: measured again" in capsys.readouterr().err
    assert (journal.read_bytes(), table.read_bytes()) == before


def test_rows_of_a_journal_without_seals_are_taken(home: Path, capsys: Captured) -> None:
    pictures(home)
    words: list[str | Path] = ["--edits", home / "edits", "--metrics", "mse", "--no-page"]
    assert evaluate(home, *words) == 0
    journal = home / "evaluation/journal.jsonl"
    before = journal.read_text()
    journal.write_text(re.sub(r', "[0-9a-f]{12}"\]}', "]}", before))
    assert journal.read_text() != before
    capsys.readouterr()
    assert evaluate(home, *words) == 0 and journal.read_text() == before
    assert "not what was measured" not in capsys.readouterr().err


def test_a_gallery_that_is_a_link_is_not_followed(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "other").mkdir()
    (home / "evaluation").mkdir()
    (home / "evaluation/gallery").symlink_to(home / "other")
    assert evaluate(home, "--edits", home / "edits", "--metrics", "mse") == 2
    assert "gallery is a link" in capsys.readouterr().err and not [*(home / "other").iterdir()]


def test_who_is_compared_with_is_known_before_anything_is_measured(
    home: Path, capsys: Captured
) -> None:
    pictures(home)
    words: list[str | Path] = ["--edits", home / "edits", "--metrics", "mse"]
    assert evaluate(home, *words, "--against", "edit") == 2
    assert "such a variant; did you mean 'edits'?" in capsys.readouterr().err
    assert not (home / "evaluation/per_image.csv").exists()
    assert evaluate(home, "--edits", home / "edits", "--metrics", "") == 2
    assert "unknown metric ''" in capsys.readouterr().err


def test_what_is_not_compared_is_said(home: Path) -> None:
    pictures(home)
    for name in ("A", "B"):
        assert (
            evaluate(home, "--edits", home / "edits", "--variant", name, "--metrics", "psnr") == 0
        )
    words: list[str | Path] = ["--edits", home / "edits", "--variant", "B", "--metrics", "psnr"]
    assert evaluate(home, *words, "--against", "A") == 0
    said = (home / "evaluation/table.md").read_text()
    assert "PSNR, which equal pixels make infinite, is not compared." in said


@pytest.mark.parametrize("name", ["index.html", "table.md", "evaluation.json", "journal.jsonl"])
def test_a_folder_of_somebody_elses_files_is_refused(
    home: Path, capsys: Captured, name: str
) -> None:
    pictures(home)
    (home / "mine").mkdir()
    (home / "mine" / name).write_text("mine\n[" + "[" * 10**5)
    more: list[str | Path] = ["--metrics", "mse", "--edits", home / "edits", "--out", home / "mine"]
    assert evaluate(home, *more) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert (home / "mine" / name).read_text().startswith("mine")
    assert run("audit-judge", "--tasks", "1", "--out", home / "mine", "--clip", "x:y") == 2


@pytest.mark.parametrize(
    "text", ['{"day": "monday", "text": "dear diary"}', "my journal\n", "x", "\x00\x01", "a" * 5000]
)
def test_a_journal_of_one_line_is_somebodys(home: Path, capsys: Captured, text: str) -> None:
    pictures(home)
    (home / "mine").mkdir()
    (home / "mine/journal.jsonl").write_text(text)
    more: list[str | Path] = ["--metrics", "mse", "--edits", home / "edits", "--out", home / "mine"]
    assert evaluate(home, *more) == 2
    assert "is no journal of an evaluation: choose another --out" in capsys.readouterr().err
    assert (home / "mine/journal.jsonl").read_text() == text


@pytest.mark.parametrize("left", [0, 1, 5, 9, 30])
def test_a_first_line_that_a_kill_cut_short_is_ours(home: Path, left: int) -> None:
    pictures(home)
    more: list[str | Path] = ["--metrics", "mse", "--edits", home / "edits"]
    assert evaluate(home, *more) == 0
    journal, table = home / "evaluation/journal.jsonl", home / "evaluation/table.md"
    before = table.read_text()
    journal.write_bytes(journal.read_bytes()[:left])
    assert evaluate(home, *more) == 0
    assert table.read_text() == before


def test_another_category_is_a_name_and_is_not_measured(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(home)
    table = home / "list.csv"
    more: list[str | Path] = ["--metrics", "mse", "--edits", home / "edits"]
    frame = pd.read_csv(table, dtype=str, keep_default_na=False).assign(category="old")
    frame.to_csv(table, index=False)
    assert evaluate(home, *more) == 0
    frame.loc[0, "category"] = "new"
    frame.to_csv(table, index=False)
    monkeypatch.setattr("eval.external.measuring.measure", None)
    assert evaluate(home, *more) == 0
    rows = (home / "evaluation/per_image.csv").read_text().splitlines()[1:]
    assert [row.split(",")[2] for row in rows].count("new") == len(rows) // 3


def test_one_edit_of_two_tasks_is_told_what_names_there_are(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "list.csv").write_text("id,image,prompt\nt0,in/0.png,a\nt1,in/0.png,b\n")
    assert evaluate(home, "--metrics", "mse", "--edits", home / "edits") == 2
    assert "could be the edit of 't0' or of 't1': name it 't0.png' or 't1.png'" in (
        capsys.readouterr().err
    )


def test_an_id_that_is_long_is_no_path(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "list.csv").write_text(f"id,image,prompt\n{'x' * 300},in/0.png,a\n")
    assert evaluate(home, "--metrics", "mse", "--edits", home / "edits") == 2
    assert "has 300 letters: give it a name of at most" in capsys.readouterr().err


def test_a_check_refuses_what_measuring_would(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "edits/in/0.png").unlink()
    Image.fromarray(np.zeros((20, 31), np.float32)).save(home / "edits/in/0.tif")
    assert evaluate(home, "--edits", home / "edits", "--check") == 2
    assert "has 32-bit values" in capsys.readouterr().out


def test_lines_that_are_no_rows_are_measured_again(home: Path) -> None:
    pictures(home)
    more: list[str | Path] = ["--metrics", "mse", "--edits", home / "edits"]
    assert evaluate(home, *more) == 0
    journal, table = home / "evaluation/journal.jsonl", home / "evaluation/table.md"
    before = table.read_text()
    lines = journal.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if '"row"' in line)
    lines[at] = json.dumps({**json.loads(lines[at]), "row": [float("nan"), "", "a", "b", "c"]})
    journal.write_text("\n".join([*lines, "[" * 10**5]) + "\n")
    assert evaluate(home, *more) == 0
    assert table.read_text() == before


def test_a_black_mask_is_said(home: Path, capsys: Captured) -> None:
    pictures(home)
    Image.fromarray(np.zeros((20, 31), np.uint8)).save(home / "m/0.png")
    assert evaluate(home, "--metrics", "mse", "--edits", home / "edits") == 0
    assert "m/0.png: it is black all over" in capsys.readouterr().err


@pytest.mark.parametrize("sign", [";", "\t"])
def test_a_table_parted_by_other_signs_says_so(home: Path, capsys: Captured, sign: str) -> None:
    pictures(home)
    table = home / "list.csv"
    table.write_text(table.read_text().replace(",", sign))
    assert evaluate(home, "--metrics", "mse", "--edits", home / "edits") == 2
    assert "part them by commas" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "--dataset", "csv:.", "--edits", "edits", "--out", ""], "--out is empty"),
        (["audit-judge", "--judge-url", ""], "--judge-url is empty"),
        (["audit-judge", "--judge-model", " "], "--judge-model is empty"),
        (["--root", "", "where"], "--root is empty"),
        (["score", "in/0.png", "other.png"], "save it at its source's size\n"),
    ],
)
def test_an_option_that_is_empty_is_no_default(
    home: Path, capsys: Captured, words: list[str], said: str
) -> None:
    pictures(home)
    write_image(home / "other.png", picture(1, height=21))
    assert run(*words) == 2
    assert said in capsys.readouterr().err


def test_of_two_tasks_both_free_names_are_told(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "list.csv").write_text("id,image,prompt\n0,in/1.png,a\n1,in/0.png,b\n")
    (home / "one").mkdir()
    Image.fromarray(picture(3)).save(home / "one/0.png")
    assert evaluate(home, "--metrics", "mse", "--edits", home / "one") == 2
    said = capsys.readouterr().err
    first, second = re.findall(r"name it '([^']+)' or '([^']+)'", said)[0]
    assert first != second, said


def test_editors_over_other_tasks_are_not_ranked_together(home: Path) -> None:
    pictures(home)
    shutil.copytree(home / "edits", home / "fewer")
    next((home / "fewer").rglob("*.png")).unlink()
    words = ["--edits", str(home / "edits"), "--edits", str(home / "fewer"), "--metrics", "mse"]
    assert run("evaluate", "--dataset", f"csv:{home}", *words, "--out", home / "o") == 0
    wide = (home / "o/table.md").read_text().split("## Side by side")[1]
    assert "*On 2 of the 3 tasks: fewer*" in wide
    assert "On " in (home / "o/table.tex").read_text()


def test_a_folder_of_data_or_of_edits_takes_no_tables(home: Path, capsys: Captured) -> None:
    pictures(home)
    for out in (home, home / "edits"):
        words = ["--dataset", f"csv:{home}", "--edits", str(home / "edits"), "--out", str(out)]
        assert run("evaluate", *words, "--metrics", "mse") == 2
        assert "choose another --out" in capsys.readouterr().err


@pytest.mark.long
def test_two_evaluations_of_one_folder_in_two_ways_leave_whole_tables(home: Path) -> None:
    pictures(home)
    words = ["evaluate", "--dataset", f"csv:{home}", "--edits", str(home / "edits"), "--out",
             str(home / "o"), "--metrics", "mse"]  # fmt: skip
    code = "import sys; from lr_edit.cli.start import main; main()"
    both = [subprocess.Popen([sys.executable, "-c", code, *words, *more])
            for more in ([], ["--jpeg-75"])]  # fmt: skip
    assert [one.wait(120) for one in both] == [0, 0]
    summary = json.loads((home / "o/evaluation.json").read_text())
    (metrics,) = summary["variants"].values()
    assert metrics["whole_mse"]["n"] == summary["dataset"]["tasks"] and not summary["left_out"]
