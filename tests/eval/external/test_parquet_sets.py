"""Data sets in parquet files, and the two JSON ones of 2025: small copies of each, end to end."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from eval.external.datasets import open_dataset
from eval.external.datasets.contract import read_picture
from eval.metrics import pie_bench
from lr_edit.errors import UserError
from lr_edit.workspace.pictures import write_image
from tests.eval.picture_folder import picture, run

Captured = pytest.CaptureFixture[str]


def embedded(seed: int, *, side: int = 24) -> dict[str, Any]:
    """A picture as the hub keeps it in a cell."""
    file = io.BytesIO()
    Image.fromarray(picture(seed, height=side, width=side)).save(file, format="PNG")
    return {"bytes": file.getvalue(), "path": None}


def write_table(path: Path, rows: list[dict[str, Any]], *, group: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)


def evaluate(spec: str, *words: str | Path) -> int:
    return run("evaluate", "--dataset", spec, "--metrics", "whole_mse", "--json", *words)


def test_pie_bench_plus_plus_is_pie_bench(home: Path, capsys: Captured) -> None:
    rows = [
        {"image": embedded(n, side=512), "id": f"00{n}", "source_prompt": "a [cat]",
         "target_prompt": "a [dog]", "edit_action": "", "aspect_mapping": "",
         "blended_words": "cat,dog", "mask": "100 50 512 7"}
        for n in range(3)
    ]  # fmt: skip
    write_table(home / "pp/1_change_object_80/V1-00000-of-00001.parquet", rows)
    dataset = open_dataset("pie-bench:pp")
    first = dataset.samples[0]
    assert (first.task.source, first.task.prompt) == ("cat", "a dog")
    assert first.task.category == "change object"
    mask = first.read_mask((512, 512))
    assert mask is not None
    assert (mask == pie_bench.decode_mask([100, 50, 512, 7], ring=False)).all()
    for n in range(3):
        assert (read_picture(dataset.samples[n].image) == picture(n, height=512, width=512)).all()
        write_image(home / f"edits/1_change_object_80/00{n}.png", picture(9, height=512, width=512))
    assert evaluate("pie-bench:pp", "--edits", "edits") == 0
    assert json.loads(capsys.readouterr().out)["variants"]["edits"]["whole_mse"]["n"] == 3
    (home / "method").mkdir()
    (home / "edits").rename(home / "method/annotation_images")  # as PnPInversion saves them
    assert run("evaluate", "--dataset", "pie-bench:pp", "--edits", "method", "--check") == 0


def emu_rows(count: int, *, split: str = "test") -> list[dict[str, Any]]:
    return [
        {"instruction": "make it a dog", "image": embedded(n), "task": "local", "split": split,
         "idx": n, "hash": f"h{n}", "input_caption": "a cat",
         "output_caption": "a cat" if n == 1 else "a dog"}
        for n in range(count)
    ]  # fmt: skip


def test_emu_edit_rows_whose_captions_agree_are_dropped_on_request(
    home: Path, capsys: Captured
) -> None:
    write_table(home / "emu/test.parquet", emu_rows(3))
    (sample, *_) = open_dataset("emu-edit:emu").samples
    assert (sample.task.caption, sample.task.prompt) == ("a cat", "a dog")
    assert sample.instruction == "make it a dog" and sample.task.category == "local"
    for n, name in enumerate(("0", "h1", "test/2")):
        write_image(home / f"edits/{name}.png", picture(n + 5, height=24, width=24))
    assert evaluate("emu-edit:emu", "--edits", "edits") == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out)["variants"]["edits"]["whole_mse"]["n"] == 3
    assert "1 rows are doubtful (its two captions are equal)" in streams.err
    assert evaluate("emu-edit:emu", "--edits", "edits", "--drop-doubtful") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["variants"]["edits"]["whole_mse"]["n"] == 2
    assert "were left out" in summary["dataset"]["notes"][0]


def test_swapped_splits_are_told_by_their_size(tmp_path: Path) -> None:
    rows = [{**row, "image": {"bytes": b"", "path": None}} for row in emu_rows(2)]
    many = [{**rows[0], "idx": n} for n in range(2022)]
    write_table(tmp_path / "test.parquet", many, group=5000)
    (note,) = open_dataset(f"emu-edit:{tmp_path}").notes
    assert "'test' has 2022 rows, which is the size of 'validation'" in note


def test_gedit_has_two_languages_and_an_intersection(home: Path, capsys: Captured) -> None:
    rows = [
        {"key": f"k{n}", "task_type": "color_alter", "instruction": f"do {n}",
         "instruction_language": "cn" if n == 2 else "en", "input_image": embedded(n),
         "input_image_raw": embedded(n), "Intersection_exist": n == 0}
        for n in range(3)
    ]  # fmt: skip
    write_table(home / "gedit/a.parquet", rows)
    first, second = open_dataset("gedit:gedit").samples
    assert (first.subsets, second.subsets) == (("intersection",), ())
    assert (first.instruction, first.task.prompt) == ("do 0", "")
    (chinese,) = open_dataset("gedit-cn:gedit").tasks
    assert chinese.id == "k2"
    for n in range(2):
        name = f"METHOD/fullset/color_alter/en/k{n}.png"
        write_image(home / name, picture(5, height=24, width=24))
    for folder in ("METHOD", "METHOD/fullset"):
        assert evaluate("gedit:gedit", "--edits", folder) == 0
        streams = capsys.readouterr()
        cells = json.loads(streams.out)["variants"][Path(folder).name]
        assert cells["whole_mse"]["n"] == 2


def test_imgedit_names_its_edits_after_its_keys(home: Path, capsys: Captured) -> None:
    rows = {str(n): {"id": f"animal/{n}.jpg", "prompt": "do", "edit_type": "add"} for n in (7, 8)}
    (home / "set").mkdir()
    (home / "set/basic_edit.json").write_text(json.dumps(rows))
    for n in (7, 8):
        write_image(home / f"set/singleturn/animal/{n}.jpg", picture(n))
        write_image(home / f"edits/{n}.png", picture(n + 1))
    assert evaluate("imgedit:set", "--edits", "edits") == 0
    assert json.loads(capsys.readouterr().out)["categories"]["edits"]["add"]["whole_mse"]["n"] == 2


def test_magicbrush_is_measured_against_its_targets(home: Path, capsys: Captured) -> None:
    turns = [
        {"input": f"7-{a}.png", "output": f"7-output{n}.png", "mask": None, "instruction": "do"}
        for n, a in ((1, "input"), (2, "output1"))
    ]  # fmt: skip
    (home / "mb").mkdir()
    (home / "mb/edit_turns.json").write_text(json.dumps(turns))
    for n, name in enumerate(("input", "output1", "output2")):
        write_image(home / f"mb/images/7/7-{name}.png", picture(n))
    for n, name in enumerate(("7_1", "7_inde_2", "7_iter_2")):
        write_image(home / f"edits/7/{name}.png", picture(n + 10))
    words = ["--metrics", "target_l1,target_l2", "--edits", "edits", "--json"]
    assert run("evaluate", "--dataset", "magicbrush:mb", *words) == 0
    found = json.loads(capsys.readouterr().out)["variants"]["edits"]
    pairs = [(picture(1), picture(10)), (picture(2), picture(11))]
    gaps = [(a.astype(float) - b) / 255 for a, b in pairs]
    assert found["target_l1"]["mean"] == pytest.approx(np.mean([np.abs(g).mean() for g in gaps]))
    assert found["target_l2"]["mean"] == pytest.approx(np.mean([(g**2).mean() for g in gaps]))
    assert run("evaluate", "--dataset", "magicbrush-final:mb", "--out", "final", *words) == 0
    found = json.loads(capsys.readouterr().out)["variants"]["edits"]
    gap = (picture(2).astype(float) - picture(12)) / 255
    assert found["target_l1"]["mean"] == pytest.approx(np.abs(gap).mean())


def test_a_table_of_another_data_set_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", [{"x": 1}])
    with pytest.raises(UserError, match="has no column 'instruction'"):
        open_dataset(f"emu-edit:{tmp_path}")
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        open_dataset(f"gedit:{tmp_path}")
