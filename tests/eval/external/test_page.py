"""index.html of several editors: what it ranks, shows and escapes."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
from PIL import Image

from lr_edit.workspace.pictures import write_image
from tests.eval.picture_folder import picture, pictures, run


def evaluate(home: Path, *words: str | Path) -> int:
    own = ["--dataset", f"csv:{home}", "--metrics", "mse,psnr,change", "--json"]
    return run("evaluate", *own, "--edits", home / "edits", *words)


def page(home: Path) -> str:
    return (home / "evaluation/index.html").read_text("utf-8")


def test_editors_are_ranked_best_first_with_their_differences(home: Path) -> None:
    pictures(home)
    for n in range(3):
        write_image(home / f"same/{n}.png", picture(n))
    assert evaluate(home, "--edits", home / "same") == 0
    html = page(home)
    ranking = html.split('data-metric="whole_mse"')[1].split("</table>")[0]
    assert re.findall(r"<tr><td>(\w+)</td>", ranking) == ["same", "edits"]
    assert "Δ to edits" in ranking
    values = json.loads(html.split('id="values">')[1].split("</script>")[0])
    assert values["variants"] == ["edits", "same"] and not values["up"]["whole_mse"]
    assert values["table"]["whole_mse"][1] == [0, 0, 0]
    assert values["table"]["background_mse"][0][2] is None  # no mask: missing, not zero
    assert values["table"]["whole_psnr"][1] == [None] * 3  # inf is no number of JSON


def test_every_source_and_edit_is_shown_once(home: Path) -> None:
    pictures(home)
    (home / "edits/in/1.png").unlink()
    write_image(home / "edits/in/2.png", picture(2))  # a copy of its source
    assert evaluate(home) == 0
    shown = re.findall(r'<img class="panel" loading="lazy" src="(gallery/\w+\.webp)"', page(home))
    assert len(shown) == 5 and len(set(shown)) == 4
    assert shown[3] == shown[4]
    assert page(home).count('<div class="panel">') == 1  # the edit that is not there
    with Image.open(home / "evaluation" / shown[0]) as small:
        assert small.size == (240, 155)  # enlarged, in its own shape
    with Image.open(home / "in/0.png") as source, Image.open(home / "evaluation" / shown[0]) as one:
        gap = np.asarray(source.resize(one.size)).astype(int) - np.asarray(one.convert("RGB"))
        assert abs(gap).mean() < 20
    kept = sorted((home / "evaluation/gallery").iterdir())
    before = [(path, path.stat().st_mtime_ns) for path in kept]
    assert evaluate(home) == 0  # nothing changed: no picture is made again
    assert before == [(path, path.stat().st_mtime_ns) for path in kept]
    kept[0].unlink()  # and one that is gone is
    assert evaluate(home) == 0 and kept[0].exists()


def test_the_page_of_a_table_that_was_measured_without_one_shows_all(home: Path) -> None:
    pictures(home)
    assert evaluate(home, "--no-page") == 0 and not (home / "evaluation/gallery").exists()
    assert evaluate(home) == 0
    assert len(list((home / "evaluation/gallery").iterdir())) == 6


def test_the_page_opens_on_a_metric_that_has_values(home: Path) -> None:
    pictures(home)
    table = home / "list.csv"
    table.write_text(re.sub(r"m/\d\.png", "", table.read_text()))  # no masks
    assert evaluate(home) == 0
    assert re.findall(r'<option value="(\w+)">', page(home))[0] == "whole_mse"


def test_words_and_names_are_inert_in_the_page(home: Path) -> None:
    pictures(home)
    evil = "</script><script>alert(1)</script>\u202e"
    table = (home / "list.csv").read_text().replace("a dog", evil).replace("odd", evil)
    (home / "list.csv").write_text(table)
    assert evaluate(home, "--variant", evil) == 0
    html = page(home)
    assert "<script>alert" not in html and "\u202e" not in html
    assert "</script><script>alert(1)" in unescape(html)


def test_a_page_may_be_left_out(home: Path) -> None:
    pictures(home)
    assert evaluate(home, "--no-page") == 0
    assert not (home / "evaluation/index.html").exists()


def test_psnr_that_leaves_perfect_pictures_out_ranks_nobody(home: Path) -> None:
    """A mean without the best half was bold, starred and first."""
    for folder in ("A", "B"):
        pictures(home, count=8)
        for n in range(8):
            noise = np.random.default_rng(n + 50).integers(-9, 10, (20, 31, 3))
            near = np.clip(picture(n).astype(int) + noise, 0, 255).astype(np.uint8)
            write_image(
                home / f"{folder}/in/{n}.png", picture(n) if folder == "B" and n % 2 else near
            )
    words: list[str | Path] = [
        "--metrics",
        "whole_mse,whole_psnr",
        "--edits",
        home / "A",
        "--edits",
        home / "B",
    ]
    assert run("evaluate", "--dataset", f"csv:{home}", *words) == 0
    summary = json.loads((home / "evaluation/evaluation.json").read_text())
    assert summary["variants"]["B"]["whole_psnr"]["infinite"] == 4
    assert "whole_psnr" not in summary["paired"]["B"] and "whole_mse" in summary["paired"]["B"]
    wide = (home / "evaluation/table.md").read_text().split("## Side by side")[1]
    assert "PSNR leaves out infinite values (4 of B), and has no best where there are any" in wide
    assert len(re.findall(r"\*\*[\d.]+\*\*", wide)) == 1  # MSE alone has a best
    ranking = page(home).split('data-metric="whole_mse"')[1].split("</table>")[0]
    assert re.findall(r"<tr><td>(\w+)</td>", ranking) == ["B", "A"]
    ranking = page(home).split('data-metric="whole_psnr"')[1].split("</table>")[0]
    assert re.findall(r"<tr><td>(\w+)</td>", ranking) == ["A", "B"]  # as they were given


def test_tasks_that_rest_on_fewer_runs_are_said(home: Path) -> None:
    pictures(home)
    own: list[str | Path] = [
        "evaluate",
        "--dataset",
        f"csv:{home}",
        "--metrics",
        "mse",
        "--no-page",
    ]
    assert run(*own, "--edits", home / "edits", "--variant", "B", "--seed", "0") == 0
    (home / "edits/in/1.png").unlink()
    assert run(*own, "--edits", home / "edits", "--variant", "B", "--seed", "1") == 0
    write_image(home / "edits/in/1.png", picture(101))
    assert run(*own, "--edits", home / "edits", "--variant", "C") == 0
    summary = json.loads((home / "evaluation/evaluation.json").read_text())
    (lacking,) = summary["missing"]["B"]
    assert summary["fewer_runs"] == {"B": [lacking]} and summary["missing"]["C"] == []
    assert "B: 1 tasks by fewer than all of its runs." in (home / "evaluation/table.md").read_text()
