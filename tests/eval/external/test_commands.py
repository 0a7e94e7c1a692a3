"""`lr-edit score` and `lr-edit evaluate` as a user meets them: files in, tables and files out."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from eval import mean_squared_error, peak_signal_noise_ratio
from eval.external import measuring
from eval.metrics import pie_bench
from eval.study.scores import COLUMNS
from lr_edit.workspace.pictures import read_image, write_image
from tests.eval.picture_folder import picture, pictures, run

Captured = pytest.CaptureFixture[str]
PIXELS = {f"{r}_{m}" for r in ("background", "whole") for m in ("mse", "psnr", "ssim")}
CHANGE = {f"change_{a}" for a in ("hit", "miss", "leak", "leak_size", "auc")}
WEIGHT_FREE = PIXELS | CHANGE


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]


def evaluate(home: Path, *words: str | Path) -> int:
    edits: list[str | Path] = [] if "--edits" in words else ["--edits", home / "edits"]
    return run("evaluate", "--dataset", f"csv:{home}", *edits, *words)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "per_image.csv").open(newline="") as file:
        lines = csv.DictReader(file)
        found = list(lines)
        assert tuple(lines.fieldnames or ()) == (*COLUMNS, "identity")
    return found


def test_one_pair_needs_no_weights_and_no_checkout(home: Path, capsys: Captured) -> None:
    pictures(home)
    words = ["score", "in/0.png", "edits/in/0.png", "--mask", "m/0.png", "--metrics", "mse,psnr"]
    assert run(*words, "--json") == 0
    streams = capsys.readouterr()
    found = json.loads(streams.out)["metrics"]
    assert not streams.err and set(found) == PIXELS - {"background_ssim", "whole_ssim"}
    mask = torch.from_numpy(np.array(Image.open("m/0.png")) > 0)[None, None]
    pair = tensor(picture(0)), tensor(picture(100))
    want = mean_squared_error(*pair, mask=mask).item()
    assert found["background_mse"]["value"] == pytest.approx(want, rel=1e-12)
    assert run(*words) == 0
    assert "background_mse" in capsys.readouterr().out
    assert run(*words, "--json", "--protocol", "pie-bench") == 0
    ringed = torch.from_numpy(pie_bench.add_ring(mask[0, 0].numpy()))[None, None]
    want = peak_signal_noise_ratio(*pair, mask=ringed, protocol="pie-bench").item()
    found = json.loads(capsys.readouterr().out)["metrics"]
    assert found["background_psnr"]["value"] == pytest.approx(want, rel=1e-12)


def test_what_is_left_out_is_said_once_with_its_cure(home: Path, capsys: Captured) -> None:
    pictures(home)
    assert run("score", "in/0.png", "in/0.png", "--prompt", "a dog", "--json") == 0
    streams = capsys.readouterr()
    found = json.loads(streams.out)["metrics"]
    assert found["whole_psnr"] == {
        "value": None, "status": "infinite", "region": "whole", "higher_is_better": True,
    }  # fmt: skip
    assert found["whole_mse"]["value"] == 0 and found["whole_ssim"]["value"] == 1
    said = streams.err.splitlines()
    assert all(re.match(r"lr-edit: left out \w", line) for line in said)
    assert sum("--mask" in line for line in said) == 1
    for name, cure in {
        "structure_distance": "timm.create_model", "whole_lpips": "lpips.LPIPS",
        "clip_whole": "open_clip.create_model",
    }.items():  # fmt: skip
        assert sum(name in line and cure in line for line in said) == 1


def test_a_folder_gives_a_long_csv_means_and_tables(home: Path, capsys: Captured) -> None:
    pictures(home)
    assert evaluate(home) == 0
    streams = capsys.readouterr()
    assert "background_psnr" in streams.out and "95% interval" in streams.out
    found = rows(home / "evaluation")
    assert {row["metric"] for row in found} == WEIGHT_FREE and len(found) == 3 * 11
    assert {row["variant"] for row in found} == {"edits"}
    assert [row["category"] for row in found[::11]] == ["even", "odd", "even"]
    missing = {(row["task"], row["metric"]) for row in found if row["status"] == "missing"}
    assert missing == {("in/2", name) for name in WEIGHT_FREE if not name.startswith("whole")}
    summary = json.loads((home / "evaluation/evaluation.json").read_text())
    cell = summary["variants"]["edits"]["background_mse"]
    values = [float(r["value"]) for r in found if r["metric"] == "background_mse" and r["value"]]
    assert cell["mean"] == pytest.approx(np.mean(values)) and cell["low"] < cell["high"]
    assert (cell["n"], cell["missing"], cell["infinite"]) == (2, 1, 0)
    assert summary["dataset"] == {"kind": "csv", "tasks": 3, "masks": 2, "notes": []}
    assert summary["versions"]["torch"] and summary["networks"] == {}
    assert summary["categories"]["edits"]["even"]["whole_mse"]["n"] == 2
    page = (home / "evaluation/table.md").read_text()
    assert "Protocol strict" in page and "| background_psnr ↑ |" in page
    assert evaluate(home, "--json") == 0
    assert json.loads(capsys.readouterr().out) == summary


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of every edit that is read, and the metrics it is read for."""
    seen: list[str] = []
    real = measuring.measure

    def watch(pair: Any, names: Any, **how: Any) -> dict[str, float]:
        seen.append(",".join(names))
        return real(pair, names, **how)

    monkeypatch.setattr(measuring, "measure", watch)
    return seen


def test_a_second_run_measures_only_what_changed(home: Path, measured: list[str]) -> None:
    pictures(home)
    assert evaluate(home, "--metrics", "mse") == 0
    first = rows(home / "evaluation")
    assert len(measured) == 3
    assert evaluate(home, "--metrics", "mse") == 0
    assert len(measured) == 3 and rows(home / "evaluation") == first
    assert evaluate(home, "--metrics", "mse,psnr") == 0  # more metrics: those alone
    assert measured[3:] == ["background_psnr,whole_psnr"] * 3
    write_image(home / "edits/in/1.png", picture(7))
    assert evaluate(home, "--metrics", "mse,psnr") == 0
    assert len(measured) == 7
    changed = {(r["task"], r["metric"]): r["value"] for r in rows(home / "evaluation")}
    before = {(r["task"], r["metric"]): r["value"] for r in first}
    assert {k[0] for k, value in before.items() if changed[k] != value} == {"in/1"}
    assert evaluate(home, "--metrics", "mse", "--jpeg-75") == 0
    assert len(measured) == 10


@pytest.mark.long
def test_a_killed_run_loses_nothing(
    home: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(home)
    assert evaluate(home, "--out", home / "whole") == 0
    real, reads = measuring.measure, list[str]()

    def stop(pair: Any, names: Any, **how: Any) -> dict[str, float]:
        reads.append("")
        if len(reads) == 3:
            raise KeyboardInterrupt
        return real(pair, names, **how)

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "measure", stop)
        assert evaluate(home, "--out", home / "out") == 130
    assert len((home / "out/journal.jsonl").read_text().splitlines()) == 11 + 22
    with (home / "out/journal.jsonl").open("a") as file:  # the last line was cut short
        file.write('{"key": ["edits", "in/2", "ev')
    measured.clear()
    assert evaluate(home, "--out", home / "out") == 0
    assert len(measured) == 1
    for name in ("per_image.csv", "evaluation.json", "table.md", "journal.jsonl"):
        assert (home / "out" / name).read_bytes() == (home / "whole" / name).read_bytes()


def test_variants_protocols_and_seeds_share_a_folder(home: Path, capsys: Captured) -> None:
    pictures(home)
    same = home / "same"
    for n in range(3):
        write_image(same / f"{n}.jpg", picture(n))  # a PNG by another name is read as one
    assert evaluate(home, "--metrics", "mse") == 0
    assert evaluate(home, "--metrics", "mse", "--protocol", "pie-bench") == 0
    assert evaluate(home, "--metrics", "mse", "--edits", same, "--variant", "ours") == 0
    assert (
        evaluate(home, "--metrics", "mse", "--edits", same, "--variant", "ours", "--seed", "1") == 0
    )
    found = rows(home / "evaluation")
    assert len(found) == 4 * 6
    capsys.readouterr()
    assert (
        evaluate(home, "--metrics", "psnr,mse", "--edits", same, "--variant", "ours", "--json") == 0
    )
    variants = json.loads(capsys.readouterr().out)["variants"]
    assert variants["ours"]["whole_mse"]["mean"] == 0
    assert variants["ours"]["whole_psnr"]["infinite"] == 3
    assert variants["edits"]["whole_mse"]["n"] == 3 and variants["edits"]["whole_psnr"]["n"] == 0


def test_editors_are_compared_image_by_image(home: Path, capsys: Captured) -> None:
    pictures(home)
    for n in range(3):
        write_image(home / "same" / f"{n}.png", picture(n))
    assert evaluate(home, "--metrics", "mse,psnr") == 0
    words: list[str | Path] = [
        "--metrics",
        "mse,psnr",
        "--edits",
        home / "same",
        "--variant",
        "ours",
    ]
    assert evaluate(home, *words, "--against", "edit") == 2
    assert "did you mean 'edits'" in capsys.readouterr().err
    assert evaluate(home, *words, "--against", "edits", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    one = found["paired"]["ours"]["whole_mse"]
    assert one["difference"] == pytest.approx(-found["variants"]["edits"]["whole_mse"]["mean"])
    assert one["win_rate"] == 1 and one["n"] == 3 and one["holm_p"] >= one["p"]
    page = (home / "evaluation/table.md").read_text()
    assert "paired difference to edits" in page and "| ours | −" in page and "**∞**" in page
    assert r"\toprule" in (home / "evaluation/table.tex").read_text()


def test_an_edit_that_is_not_there_is_missing_and_said(home: Path, capsys: Captured) -> None:
    pictures(home)
    (home / "edits/in/1.png").unlink()
    assert evaluate(home, "--metrics", "whole_mse", "--json") == 0
    streams = capsys.readouterr()
    cell = json.loads(streams.out)["variants"]["edits"]["whole_mse"]
    assert (cell["n"], cell["missing"]) == (2, 1)
    assert "1 of 3 tasks have no edit, first 'in/1'" in streams.err
    write_image(home / "edits/in/1.png", picture(1))
    assert evaluate(home, "--metrics", "whole_mse", "--json") == 0
    assert json.loads(capsys.readouterr().out)["variants"]["edits"]["whole_mse"]["n"] == 3


def test_pie_bench_is_read_from_its_own_files(home: Path, capsys: Captured) -> None:
    row = {
        "image_path": "0_random_140/7.jpg", "original_prompt": "a [cat]", "editing_prompt": "a dog",
        "editing_type_id": "0", "blended_word": "", "mask": [512 * 100 + 50, 900],
    }  # fmt: skip
    (home / "pie").mkdir()
    (home / "pie/mapping_file.json").write_text(json.dumps({"7": row}))
    source, edited = picture(1, height=512, width=512), picture(2, height=512, width=512)
    write_image(home / "pie/annotation_images/0_random_140/7.jpg", source)
    strip = np.concatenate([source, source, source, edited], 1)
    write_image(home / "edits/0_random_140/7.jpg", strip)
    assert run(
        "evaluate", "--dataset", "pie-bench:pie", "--edits", "edits", "--protocol", "pie-bench",
        "--metrics", "background_psnr,background_mse", "--json",
    ) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)["variants"]["edits"]
    keep = 1 - pie_bench.decode_mask(row["mask"]).astype(float)[..., None]  # type: ignore[arg-type]
    want = (((source / 255.0 - edited / 255.0) * keep) ** 2).mean()
    assert found["background_mse"]["mean"] == pytest.approx(want, rel=1e-6)
    assert found["background_psnr"]["mean"] == pytest.approx(-10 * np.log10(want), rel=1e-6)
    page, paper = ((home / "evaluation" / name).read_text() for name in ("table.md", "table.tex"))
    assert "| <u>13.44</u> | <u>27.03</u> | <u>60.67</u> | <u>35.86</u> |" in page
    assert f"| edits | – | {found['background_psnr']['mean']:.2f} |" in page
    assert "Null-text + P2P & " in paper and r"\bottomrule" in paper


def test_a_checkout_judges_its_own_drawings_by_its_own_networks(
    tiny_root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_root)
    for path in (tiny_root / "data/images").iterdir():
        write_image(tiny_root / "edits" / path.name, 255 - read_image(path))
    words = ["evaluate", "--dataset", "tasks:data", "--edits", "edits", "--json"]
    assert run("--root", tiny_root, *words) == 0
    streams = capsys.readouterr()
    summary = json.loads(streams.out)
    assert set(summary["networks"]) == {"clip", "structure", "perceptual"}
    assert all(len(net["sha256"]) == 64 for net in summary["networks"].values())
    assert all(cell["n"] == 2 for cell in summary["variants"]["edits"].values())
    assert streams.err.count("stand-in for drawings") == 3
    assert run("--root", tiny_root, *words, "--protocol", "pie-bench") == 0
    again = json.loads(capsys.readouterr().out)["variants"]["edits"]
    assert again["structure_distance"] != summary["variants"]["edits"]["structure_distance"]
    assert again["clip_whole"]["mean"] >= 0


def test_drawings_networks_do_not_judge_photos(
    tiny_root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_root)
    write_image(tiny_root / "photo.png", picture(1))
    assert run("--root", tiny_root, "score", "photo.png", "photo.png", "--json") == 0
    streams = capsys.readouterr()
    assert not any(name.startswith("structure") for name in json.loads(streams.out)["metrics"])
    assert "64x64 drawings alone" in streams.err
