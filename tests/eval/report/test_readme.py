"""README's results and the pages of reports/ are what the committed data says, made by command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from eval.report.edits import read_rows
from eval.report.pages import (
    has_results,
    in_order,
    read_held_out,
    text_pages,
    write_all_pages,
    write_pages,
)
from eval.report.race_page import race_page, read_measured
from eval.report.readme import END, FIRST, START, front_results, insert_results
from lr_edit.config import Config, load_config
from lr_edit.errors import Notice, UserError
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import read_json
from tests.source_tree import ROOT
from tests.tiny import run

CONFIG = load_config(ROOT / "params.yaml")
STUDIES = [ROOT, *sorted(path.parent for path in ROOT.glob("studies/*/params.yaml"))]
CELL = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 4, "missing": 0}
ROW = dict.fromkeys(("iou", "success", "score_s", "nfe"), CELL)
RESULTS = {
    "variants": {"ground-truth-box": {**ROW, "iou": {**CELL, "mean": None}}, "learned": ROW},
    "ceilings": {"best-of-bank-l": ROW},
    "meta": {"tasks": {"headline": 4}, "success": "An edit succeeds where a judge says so."},
}


def test_the_table_stands_between_its_marks_with_plain_titles() -> None:
    page = insert_results(f"above\n{START}\nold\n{END}\nbelow", RESULTS, config=CONFIG)
    assert page.startswith("above\n") and page.endswith("\nbelow") and "old" not in page
    titles = ["one AnchorNet per image", "the true box"]
    places = [page.index(f"| {title}") for title in titles]
    assert places == sorted(places)
    assert "50.0 [25.0, 75.0]" in page and "| – |" in page


def test_the_table_has_at_most_six_rows() -> None:
    assert len(FIRST) <= 6


def test_inserting_twice_changes_nothing() -> None:
    once = insert_results(f"{START}{END}", RESULTS, config=CONFIG)
    assert insert_results(once, RESULTS, config=CONFIG) == once


def test_a_readme_without_marks_is_not_written_over() -> None:
    with pytest.raises(UserError, match="lacks the marks"):
        insert_results("my own words", RESULTS, config=CONFIG)


def test_the_readme_is_not_stale() -> None:
    data = ROOT / "reports/results.json"
    if not data.exists():
        pytest.skip("no study has been run")
    page = (ROOT / "README.md").read_text()
    results = in_order(json.loads(data.read_text()), CONFIG)
    assert front_results(results, CONFIG, held_out=read_held_out(ROOT)) in page, "run `make pages`"


@pytest.mark.parametrize("root", STUDIES, ids=lambda root: root.name)
def test_the_pages_of_reports_are_not_stale(root: Path) -> None:
    reports = reports_folder(root)
    if not has_results(root):
        pytest.skip("no results of this study are committed")
    config = load_config(root / "params.yaml")
    texts: dict[str, str] = {}
    if (reports / "results.json").exists():
        results = in_order(read_json(reports / "results.json"), config)
        texts |= text_pages(
            results, config, rows=read_rows(reports, variants=list(config.variants))
        )
    if (reports / "race.csv").exists():
        page = (reports / "race.md").read_text()
        note = page.split("\n")[2].split(" NFE is ")[0]
        texts["race.md"] = race_page(read_measured(reports / "race.csv", config), config, note=note)
    for name, text in texts.items():
        assert (reports / name).read_text() == text, f"{reports / name}: run `make pages`"


@pytest.mark.long
def test_pages_need_a_clone_alone(tmp_path: Path) -> None:
    """Committed data of a study without its artifacts; a deleted page comes back as it was."""
    shutil.copytree(ROOT / "reports", tmp_path / "reports")
    (tmp_path / "studies/test").mkdir(parents=True)
    for name in ("params.yaml", "README.md", "studies/test/params.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    gone = ["tables.md", "tables.tex", "tables.csv", "README.md", "index.html"]
    for name in gone:
        (tmp_path / "reports" / name).unlink()
    written = write_pages(tmp_path, load_config(tmp_path / "params.yaml"))
    assert {tmp_path / "reports" / name for name in gone} <= set(written)
    for name in gone:
        assert (tmp_path / "reports" / name).read_bytes() == (ROOT / "reports" / name).read_bytes()
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()


def test_one_unfinished_study_keeps_no_other_from_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row was added to it, and not yet run."""
    for name in ("params.yaml", "studies/test/params.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("reports", "reports/test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text("{}")

    def write(root: Path, _: Config) -> list[Path]:
        if root == tmp_path:
            return [root / "reports/index.html"]
        raise UserError("edits.jsonl: task a has the edits of other variants")

    monkeypatch.setattr("eval.report.pages.write_pages", write)
    with pytest.warns(Notice, match="test is left out: edits.jsonl: task a"):
        assert write_all_pages(tmp_path) == [tmp_path / "reports/index.html"]


@pytest.mark.parametrize(
    "text", ["null", "[]", '{"a": 1}', '{"variants": 5}', '{"variants": {"learned": 3}}']
)
def test_results_that_are_none_are_one_sentence(tmp_path: Path, text: str) -> None:
    shutil.copytree(ROOT / "reports/gallery", tmp_path / "reports/gallery")
    shutil.copy(ROOT / "reports/edits.jsonl", tmp_path / "reports")
    for name in ("params.yaml", "README.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "reports/results.json").write_text(text)
    with pytest.raises(UserError, match=r"results\.json is not what its stage wrote"):
        write_pages(tmp_path, CONFIG)
    found = json.loads((ROOT / "reports/results.json").read_text())
    del found["method"]["worst"]
    (tmp_path / "reports/results.json").write_text(json.dumps(found))
    with pytest.raises(UserError, match=r"results\.json is not what its stage wrote \('worst'\)"):
        write_pages(tmp_path, CONFIG)
    outside = b'{"id": "../../x", "edits": {}}'
    for edits in (b'{"id": "eval-', b"", b"\xff\xfe", b"[]", b'{"id": [], "edits": {}}', outside):
        (tmp_path / "reports/edits.jsonl").write_bytes(edits)
        with pytest.raises(UserError, match=r"edits\.jsonl holds no edits"):
            write_pages(tmp_path, CONFIG)


@pytest.mark.parametrize(
    "name", ["results.json", "edits.jsonl", "training.json", "gallery/eval-000.webp"]
)
def test_pages_of_what_was_altered_say_so(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in ("params.yaml", "dvc.lock"):
        shutil.copyfile(ROOT / each, tmp_path / each)
    top, *_ = Path(name).parts
    copy = shutil.copytree if (ROOT / "reports" / top).is_dir() else shutil.copyfile
    (tmp_path / "reports").mkdir()
    copy(ROOT / "reports" / top, tmp_path / "reports" / top)
    monkeypatch.setattr("eval.report.pages.write_pages", lambda root, config: [])
    assert run(tmp_path, "pages") == 0 and "lr-edit:" not in capsys.readouterr().err
    with (tmp_path / "reports" / name).open("ab") as file:
        file.write(b" ")
    assert run(tmp_path, "pages") == 0
    assert f"reports/{top} is not what dvc.lock says" in capsys.readouterr().err


def test_pages_of_an_altered_race_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "studies").mkdir()
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    shutil.copytree(ROOT / "studies/race", tmp_path / "studies/race")
    shutil.copytree(ROOT / "reports/race", tmp_path / "reports/race")
    monkeypatch.setattr("eval.report.pages.write_pages", lambda root, config: [])
    assert run(tmp_path / "studies/race", "pages") == 0
    assert "lr-edit:" not in capsys.readouterr().err
    (tmp_path / "reports/race/race.csv").write_text("another race\n")
    assert run(tmp_path / "studies/race", "pages") == 0
    assert "race/race.csv is not what dvc.lock says" in capsys.readouterr().err


def test_a_strip_of_other_variants_is_refused(tmp_path: Path) -> None:
    for name in ("edits.jsonl", "gallery"):
        place = ROOT / "reports" / name
        copy = shutil.copytree if place.is_dir() else shutil.copyfile
        copy(place, tmp_path / name)
    with pytest.raises(UserError, match=r"edits\.jsonl: task eval-000 has the edits of other"):
        read_rows(tmp_path, variants=["learned", "untrained"])
    path = tmp_path / "gallery/eval-000.webp"
    with Image.open(path) as strip:
        strip.crop((0, 0, strip.height * 3, strip.height)).save(path)
    with pytest.raises(UserError, match=r"eval-000\.webp shows 2 edits, and params\.yaml has 9"):
        read_rows(tmp_path, variants=list(CONFIG.variants))


@pytest.mark.parametrize("root", STUDIES, ids=lambda root: root.name)
def test_every_row_has_a_title_and_every_title_a_row(root: Path) -> None:
    config = load_config(root / "params.yaml")
    for group, rows in {"rows": list(config.variants), **config.ablations}.items():
        missing = [name for name in list(rows) if config.title_of(name, group=group) == name]
        assert not missing, f"{group}: add titles in params.yaml or studies/"
    if root == ROOT:
        known = {name for rows in config.ablations.values() for name in rows} | set(config.variants)
        assert set(config.titles["groups"]) == set(config.ablations)
        assert set(config.titles["rows"]) <= known
        for group, rows in config.ablations.items():
            assert set(config.titles.get(group, {})) <= set(rows)


def test_the_map_of_the_code_is_the_tree() -> None:
    """Every file and folder of the two packages stands in README's map, and nothing else does."""
    page = (ROOT / "README.md").read_text()
    table = page[page.index("## Map of the code") : page.index("## Departures")]
    named = set(re.findall(r"`((?:lr_edit|eval)/[^`]*)`", table))
    there = {
        f"{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}"
        for package in ("lr_edit", "eval")
        for path in (ROOT / package).iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    }
    assert named == there
