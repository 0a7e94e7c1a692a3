"""What may stand in one table: rows measured in one way, on one data; nothing of a process lost."""

from __future__ import annotations

import csv
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.external import identity
from eval.external.datasets import open_dataset
from eval.external.folder import Request, data_digests, evaluate_folder
from eval.external.journal import Journal, Row
from eval.external.summary import say_left_out, summarise
from eval.metrics.networks import Network
from lr_edit.workspace.pictures import write_image
from tests.eval.networks import FakeClip
from tests.eval.picture_folder import picture, pictures, run

Captured = pytest.CaptureFixture[str]


def plain(items: Any, label: str, *, total: int | None = None) -> Any:
    """No progress bar."""
    return iter(items)


def measured(
    home: Path, variant: str, *, network: str = "X", metrics: tuple[str, ...] = ("clip_i",),
    jpeg_75: bool = False, resize: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Evaluate `edits` as this variant by a network of this name; the summary."""
    networks = {"clip": Network(network, FakeClip(), f"digest of {network}")}
    dataset = open_dataset(f"csv:{home}")
    request = Request(
        dataset,
        home / "edits",
        variant,
        metrics,
        "strict",
        networks,
        jpeg_75=jpeg_75,
        resize=resize,
    )
    journal, data = Journal(home / "out"), data_digests(dataset)
    evaluate_folder(request, journal, track=plain, data=data)
    with journal.finished():
        return summarise(request, journal, data=data, against="A", resamples=99)


def test_two_networks_are_never_compared(home: Path) -> None:
    pictures(home)
    measured(home, "A", network="X")
    other = measured(home, "B", network="Y")
    assert other["paired"]["B"]["clip_i"]["n"] == 0 and other["variants"]["A"]["clip_i"]["n"] == 0
    (said,) = say_left_out(other)
    assert "clip_i of 'A'" in said and "X, not Y" in said
    again = measured(home, "A", network="Y")
    assert again["paired"]["B"]["clip_i"]["n"] == 3 and not again["left_out"]


def test_other_weights_of_one_name_are_another_network(home: Path) -> None:
    pictures(home)
    measured(home, "A")
    dataset = open_dataset(f"csv:{home}")
    networks = {"clip": Network("X", FakeClip(), "other weights")}
    request = Request(dataset, home / "edits", "B", ("clip_i",), "strict", networks)
    journal = Journal(home / "out")
    evaluate_folder(request, journal, track=plain)
    summary = summarise(request, journal, data=data_digests(dataset), against="A", resamples=99)
    assert "other weights of X" in say_left_out(summary)[0]


@pytest.mark.parametrize("option", ["jpeg_75", "resize"])
def test_options_are_part_of_a_rows_identity(home: Path, option: str) -> None:
    pictures(home)
    measured(home, "A", metrics=("whole_mse",))
    how: Any = {option: True}
    summary = measured(home, "B", metrics=("whole_mse",), **how)
    assert summary["paired"]["B"]["whole_mse"]["n"] == 0
    assert f"{option} False, not True" in say_left_out(summary)[0]


def test_libraries_are_part_of_a_rows_identity(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(home)
    measured(home, "A", metrics=("whole_mse",))
    known = identity._version
    monkeypatch.setattr(identity, "_version", lambda n: "0.1" if n == "torch" else known(n))
    summary = measured(home, "B", metrics=("whole_mse",))
    assert summary["paired"]["B"]["whole_mse"]["n"] == 0
    said = say_left_out(summary)[0]
    assert f"measured by torch {known('torch')}, not 0.1" in said


@pytest.mark.parametrize("what", ["mask", "source", "prompt"])
def test_rows_on_other_data_do_not_stay_beside_new_ones(home: Path, what: str) -> None:
    pictures(home)
    measured(home, "A", metrics=("background_mse",))
    if what == "mask":
        Image.fromarray(np.eye(31, dtype=np.uint8)[:20] * 255).save(home / "m/0.png")
    elif what == "source":
        write_image(home / "in/0.png", picture(77))
    else:
        table = (home / "list.csv").read_text()
        (home / "list.csv").write_text(table.replace("a dog", "a fox", 1))
    summary = measured(home, "B", metrics=("background_mse",))
    assert summary["paired"]["B"]["background_mse"]["n"] == 1
    assert "another source, mask, target or words" in say_left_out(summary)[0]


def test_rows_that_compare_have_one_identity_in_the_csv(home: Path) -> None:
    pictures(home)
    for variant, network in (("A", "X"), ("B", "Y"), ("C", "Y")):
        measured(home, variant, network=network)
    with (home / "out/per_image.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    of = {name: {r["identity"] for r in rows if r["variant"] == name} for name in "ABC"}
    assert of["B"] == of["C"] and not of["A"] & of["B"] and len(of["A"]) == 3


def test_two_processes_in_one_folder_lose_nothing(tmp_path: Path) -> None:
    journals = [Journal(tmp_path) for _ in range(4)]

    def write(number: int) -> None:
        for n in range(25):
            key = (f"v{number}", f"t{n}", "0", "whole_mse", "strict")
            journals[number].add({key: Row(1.0, "edit", "e", "d", "h")}, ways={"h": {}})

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for journal in journals:
        with journal.finished():
            assert len(journal.rows) == 100
    assert len((tmp_path / "per_image.csv").read_text().splitlines()) == 101


def test_a_table_of_an_older_version_is_kept_apart(home: Path) -> None:
    pictures(home)
    old = "variant,task,category,seed,metric,region,protocol,value,status\na,b,c,0,m,r,p,1,ok\n"
    (home / "out").mkdir()
    (home / "out/per_image.csv").write_text(old)
    measured(home, "A")
    assert (home / "out/per_image.0.csv").read_text() == old


def evaluate(home: Path, *words: str | Path) -> int:
    return run("evaluate", "--dataset", f"csv:{home}", "--metrics", "mse", *words)


def test_an_unreadable_edit_is_missing_and_the_table_is_made(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "edits/in/1.png").write_bytes(b"no picture")
    for _ in range(2):  # a second run says it again
        assert evaluate(home, "--edits", home / "edits", "--json") == 0
        streams = capsys.readouterr()
        summary = json.loads(streams.out)
        assert summary["variants"]["edits"]["whole_mse"]["n"] == 2
        assert summary["missing"] == {"edits": ["in/1"]}
        assert "1 of 3 edits cannot be measured" in streams.err and "1.png" in streams.err
    write_image(home / "edits/in/1.png", picture(3))
    assert evaluate(home, "--edits", home / "edits", "--json") == 0
    assert json.loads(capsys.readouterr().out)["variants"]["edits"]["whole_mse"]["n"] == 3


def test_the_data_sets_own_folder_holds_no_edits(home: Path, capsys: Captured) -> None:
    pictures(home)
    assert evaluate(home, "--edits", home) == 2
    assert "the data set's own picture" in capsys.readouterr().err
    (home / "link").symlink_to(home / "in")
    assert evaluate(home, "--edits", home / "link") == 2


def test_copies_of_the_sources_are_said(home: Path, capsys: Captured) -> None:
    pictures(home)
    for n in range(3):
        (home / f"edits/in/{n}.png").write_bytes((home / f"in/{n}.png").read_bytes())
    assert evaluate(home, "--edits", home / "edits") == 0
    assert "3 edits are copies of their sources" in capsys.readouterr().err


NAMES = [
    "=1+1",
    "@SUM(A1)",
    "<script>alert(1)</script>",
    "a|b",
    "a\u202eb",
    r"\input{x}",
    "[bold]x",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_inert_in_every_output(home: Path, capsys: Captured, name: str) -> None:
    pictures(home)
    assert evaluate(home, "--edits", home / "edits", "--variant", name, "--against", name) == 0
    shown = capsys.readouterr().out
    texts = {n: (home / "evaluation" / n).read_text("utf-8")
             for n in ("per_image.csv", "table.md", "table.tex")}  # fmt: skip
    assert not any("\u202e" in text for text in (shown, *texts.values()))
    assert "<script>" not in texts["table.md"] and "a|b" not in texts["table.md"]
    assert r"\input{" not in texts["table.tex"]
    cells = [row[0] for row in csv.reader(texts["per_image.csv"].splitlines())]
    assert not any(cell.startswith(("=", "@")) for cell in cells)
    assert json.loads((home / "evaluation/evaluation.json").read_text("utf-8"))["variants"][name]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", "\ud800"])
def test_a_name_is_words_in_one_line(home: Path, capsys: Captured, name: str) -> None:
    pictures(home)
    assert evaluate(home, "--edits", home / "edits", "--variant", name) == 2
    said = capsys.readouterr().err
    assert "is no name" in said or "is no text" in said


def test_a_check_measures_nothing_and_names_what_is_wrong(home: Path, capsys: Captured) -> None:
    pictures(home)
    assert evaluate(home, "--edits", home / "edits", "--check") == 0
    (home / "edits/in/0.png").rename(home / "edits/in/00.png")
    write_image(home / "edits/in/1.png", picture(1, height=5))
    assert evaluate(home, "--edits", home / "edits", "--check", "--json") == 2
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["edits"]
    assert found["missing"] == {"in/0": "in/00.png"} and found["extra"] == ["in/00.png"]
    assert "31x5 but its source is 31x20" in found["problems"]["in/1"]
    assert evaluate(home, "--edits", home / "edits", "--check", "--resize") == 2
    assert "31x5" not in capsys.readouterr().out
    assert not (home / "evaluation").exists()


def test_resized_edits_are_said_to_be(home: Path, capsys: Captured) -> None:
    pictures(home)
    write_image(home / "edits/in/1.png", picture(1, height=5))
    assert evaluate(home, "--edits", home / "edits", "--resize", "--json") == 0
    assert json.loads(capsys.readouterr().out)["variants"]["edits"]["whole_mse"]["n"] == 3
    assert "resized to their sources" in (home / "evaluation/table.md").read_text()


def test_several_folders_are_several_editors(home: Path, capsys: Captured) -> None:
    pictures(home)
    for n in range(3):
        write_image(home / f"same/{n}.png", picture(n))
    words: list[str | Path] = [
        "--edits",
        home / "edits",
        "--edits",
        home / "same",
        "--against",
        "edits",
        "--json",
    ]
    assert evaluate(home, *words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert list(summary["variants"]) == ["edits", "same"]
    assert summary["paired"]["same"]["whole_mse"]["n"] == 3
    assert evaluate(home, *words, "--variant", "one") == 2
