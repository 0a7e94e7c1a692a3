"""The whole report from a small tree of artifacts: shapes, sums, and equal bytes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.metrics.registry import BY_KEY
from eval.report.contact_sheet import example_tasks
from eval.report.write import find_verdicts, write_report
from eval.stages.report import run as run_report
from eval.statistics import paired_difference
from lr_edit.errors import UserError
from lr_edit.workspace.storage import read_banks, read_json, study_tasks
from tests.eval.artifact_tree import CATEGORIES, small_config

CONFIG = small_config()
BASELINE = CONFIG.study.baseline
CEILINGS = {"best-of-bank-s", "best-of-bank-l"}
FILES = {
    "results.json", "metrics.json", "tables.md", "tables.tex", "tables.csv", "per_image.csv",
    "provenance.json",
    "README.md", "training_curves.png", "contact_sheet.png", "cost.png", "worst.png", "sizes.png",
    "anatomy.png", "amortised.png", "index.html", "gallery", "edits.jsonl", "training.json",
    "showcase.png", "pdf",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(finished: Path) -> Path:
    return finished


@pytest.fixture(scope="module")
def results(root: Path) -> dict:
    return read_json(root / "reports/results.json")


def test_every_file_is_there_and_no_other(root: Path) -> None:
    assert {path.name for path in (root / "reports").iterdir()} == FILES


def test_results_hold_every_metric_of_every_row(results: dict) -> None:
    assert set(results["variants"]) == set(CONFIG.variants)
    assert set(results["ceilings"]) == CEILINGS
    for row in (*results["variants"].values(), *results["ceilings"].values()):
        assert set(row) == set(BY_KEY)
        assert all(set(cell) == {"mean", "low", "high", "n", "missing"} for cell in row.values())
    paired = results["paired"][BASELINE]
    assert set(paired) == set(CONFIG.variants) - {BASELINE}
    for row in paired.values():
        assert set(row) == set(BY_KEY)
        assert all(set(cell) == {"difference", "low", "high", "p"} for cell in row.values())


def test_results_say_what_they_are(results: dict) -> None:
    meta = results["meta"]
    assert meta["caption"].startswith("Picture-book world: small stand-in models")
    assert (meta["protocol"], meta["split"], meta["profile"]) == ("strict", "dev", "picturebook")
    assert meta["headline"] == ["recolour", "replace"] and meta["apart"] == ["remove", "add"]
    assert meta["tasks"]["all"] == len(CATEGORIES)
    assert set(results["categories"]) == set(CATEGORIES)


def test_costs_and_psnr_are_not_tested(results: dict) -> None:
    row = results["paired"][BASELINE]["learned"]
    assert row["candidates"]["difference"] > 0 and row["candidates"]["p"] is None
    assert row["background_psnr"]["difference"] is None
    tested = results["tests"][BASELINE]["learned"]
    assert tested["background_psnr"]["holm_p"] is None
    assert tested["loss"]["holm_p"] >= results["paired"][BASELINE]["learned"]["loss"]["p"]


def test_the_per_image_table_gives_back_the_paired_difference(root: Path, results: dict) -> None:
    with (root / "reports/per_image.csv").open(newline="") as file:
        lines = [row for row in csv.DictReader(file) if row["metric"] == "iou"]
    rows = {
        name: np.array(
            [
                float(row["value"] or "nan")
                for row in lines
                if row["variant"] == name and row["category"] in ("replace", "recolour")
            ]
        )
        for name in ("learned", BASELINE)
    }
    got = paired_difference(rows["learned"], rows[BASELINE], higher_is_better=True, resamples=99)
    want = results["paired"][BASELINE]["learned"]["iou"]
    assert got.difference == pytest.approx(want["difference"], abs=1e-5)
    assert {row["variant"] for row in lines} == set(CONFIG.variants) | CEILINGS


def test_learning_says_how_far_it_went(results: dict) -> None:
    assert set(results["learning"]) == {"learned"}
    learned = results["learning"]["learned"]
    assert learned["fell"] == 1.0 and learned["tasks"] == len(CATEGORIES)
    assert learned["gap_closed"]["mean"] == pytest.approx(0.5 * (1 - 0.5**4) / 0.6)


@pytest.mark.long
def test_two_runs_give_the_same_bytes(root: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in (root / "reports").rglob("*") if p.is_file()}

    before = contents()
    write_report(root, CONFIG)
    assert contents() == before


def test_the_side_file_names_networks_and_versions(root: Path) -> None:
    found = read_json(root / "reports/provenance.json")
    assert set(found["networks"]) >= {"anchors", "clip", "inpainter", "judge clip"}
    assert all(len(one["digest"]) == 64 for one in found["networks"].values())
    assert found["versions"]["torch"] not in ("", "missing")


def test_pictures_open_and_carry_no_date(root: Path) -> None:
    for name in ("training_curves.png", "contact_sheet.png"):
        with Image.open(root / "reports" / name) as picture:
            picture.load()
            assert picture.width > 600
            assert not {"date", "Software", "Creation Time"} & set(picture.info)


def test_every_drawing_is_a_pdf_too_without_a_date(root: Path) -> None:
    drawn = {"cost", "sizes", "training_curves", "amortised"}
    assert {path.stem for path in (root / "reports/pdf").iterdir()} == drawn
    for path in (root / "reports/pdf").iterdir():
        content = path.read_bytes()
        assert content.startswith(b"%PDF") and b"CreationDate" not in content
        assert b"Matplotlib" not in content and b"Type3" not in content


def test_examples_show_the_headline_and_one_of_each_category_apart(root: Path) -> None:
    tasks = study_tasks(root)
    shown_tasks = example_tasks(tasks, count=5)
    kinds = [task.category for task in shown_tasks]
    assert len(shown_tasks) == len({task.id for task in shown_tasks}) == 5
    assert kinds.count("remove") == kinds.count("add") == 1
    assert example_tasks(tasks[:1], count=12) == tasks[:1]


def test_an_editors_whole_picture_is_not_taken_for_the_whole_image_inpainted(root: Path) -> None:
    tasks = study_tasks(root)[:1]
    banks = {name: read_banks(root, name, tasks=tasks) for name in ("centre", "instructed")}
    box = banks["centre"][0].boxes[:1, :1]
    banks["instructed"] = [replace(banks["instructed"][0], boxes=box)]
    alone = {"centre": banks["centre"]}
    both, one = (find_verdicts(root, CONFIG, tasks=tasks, banks=each) for each in (banks, alone))
    assert both == one and one


@pytest.mark.parametrize(
    "other", [{"noise_seed": 1}, {"prompt": "object"}, {"inpaint": {"steps": 9}}]
)
def test_pictures_of_other_noise_words_or_steps_are_not_those_that_people_labelled(
    root: Path, other: dict[str, Any]
) -> None:
    tasks = study_tasks(root)[:1]
    banks = {"centre": read_banks(root, "centre", tasks=tasks)}
    how = CONFIG.proposals["centre"]
    if "inpaint" in other:
        other = {"inpaint": how.inpaint.model_copy(update=other["inpaint"])}
    proposals = {**CONFIG.proposals, "centre": how.model_copy(update=other)}
    config = CONFIG.model_copy(update={"proposals": proposals})
    assert find_verdicts(root, CONFIG, tasks=tasks, banks=banks)
    assert not find_verdicts(root, config, tasks=tasks, banks=banks)


def test_scores_of_other_tasks_are_refused(root: Path) -> None:
    path = root / "artifacts/scores/learned.csv"
    whole = path.read_text()
    try:
        path.write_text(whole.replace("eval-000", "other"))
        with pytest.raises(UserError, match="different tasks"):
            write_report(root, CONFIG)
    finally:
        path.write_text(whole)


def test_a_summary_of_another_row_is_refused(root: Path) -> None:
    path = root / "artifacts/scores/learned.json"
    whole = path.read_text()
    try:
        path.write_bytes(path.with_name("untrained.json").read_bytes())
        with pytest.raises(UserError, match=r"learned.json is another row's \('untrained'\)"):
            write_report(root, CONFIG)
    finally:
        path.write_text(whole)


def test_an_edit_of_another_size_is_refused(root: Path) -> None:
    path = root / "artifacts/edits/learned/eval-000.png"
    whole = path.read_bytes()
    try:
        Image.new("RGB", (300, 200)).save(path)
        with pytest.raises(UserError, match=r"eval-000\.png is 300x200, and its source 32x32: run"):
            write_report(root, CONFIG)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("text", ["{}", "[]", "null"])
def test_what_is_no_summary_is_named_with_its_cure(root: Path, text: str) -> None:
    path = root / "artifacts/scores/learned.json"
    whole = path.read_text()
    try:
        path.write_text(text)
        with pytest.raises(UserError, match=r"learned.json is no summary .* `dvc repro evaluate`"):
            write_report(root, CONFIG)
    finally:
        path.write_text(whole)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("nets/learned/summary.json", {"tasks": 5}),
        ("nets/learned/summary.json", {}),
        ("scores/learned.json", {"psnr": 5}),
        ("scores/learned.json", {"metrics": {"success": "x"}}),
        ("scores/learned.json", {"categories": None}),
    ],
)
def test_what_no_stage_wrote_is_one_sentence(root: Path, file: str, change: dict[str, Any]) -> None:
    path = root / "artifacts" / file
    whole = path.read_text()
    try:
        path.write_text(json.dumps({**read_json(path), **change} if change else {}))
        with pytest.raises(UserError, match=r"is not what its stage wrote|no summary"):
            run_report(root, CONFIG)
    finally:
        path.write_text(whole)
