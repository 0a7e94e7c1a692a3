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


def test_every_task_has_a_strip_of_its_source_and_edits(home: Path) -> None:
    pictures(home)
    (home / "edits/in/1.png").unlink()
    assert evaluate(home) == 0
    strips = re.findall(r"url\((?:'|&#39;)(gallery/\w+\.webp)", page(home))
    assert len(set(strips)) == 3
    with Image.open(home / "evaluation" / strips[0]) as strip:
        assert strip.size == (480, 240)
        assert np.asarray(strip)[120, :60].std() > 10  # small pictures are enlarged, not framed
    with Image.open(home / "evaluation" / strips[2]) as strip:  # the edit that is not there
        assert (np.asarray(strip)[:, 300:] == np.asarray(strip)[0, 300]).all()
    before = {p.name: p.stat().st_mtime_ns for p in (home / "evaluation/gallery").iterdir()}
    assert evaluate(home) == 0  # nothing changed: no strip is made again
    assert before == {p.name: p.stat().st_mtime_ns for p in (home / "evaluation/gallery").iterdir()}


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
