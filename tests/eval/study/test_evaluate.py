"""Choices become per-image scores: the right cell of the right table, and what it cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.metrics.registry import BY_KEY
from eval.study.ceilings import ceiling_choices
from eval.study.evaluate import count_candidates, evaluate
from eval.study.scores import COLUMNS, read_scores
from lr_edit.choose import best_of_bank
from lr_edit.errors import UserError
from lr_edit.types import Bank, Choice, LossWeights
from lr_edit.variant import Variant
from lr_edit.workspace.storage import (
    read_banks,
    read_choices,
    read_json,
    read_tensors,
    study_tasks,
    write_choices,
    write_tensors,
)
from tests.eval.artifact_tree import CATEGORIES, POINTS, SIZES, make_tree, small_config

CONFIG = small_config()
HEADLINE = sum(category in ("replace", "recolour") for category in CATEGORIES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    make_tree(folder, CONFIG)
    for name in CONFIG.variants:
        evaluate(folder, CONFIG, name=name)
    return folder


def random_bank(*, points: int = 4, sizes: int = 3) -> Bank:
    rng = np.random.default_rng(points)
    return Bank(
        boxes=np.zeros((points, sizes, 4), int),
        losses=rng.random((points, sizes, 3)),
        cosines=rng.random((points, sizes, 2)),
        anchors=np.zeros((points, 2), int),
        attention=np.zeros((2, 2)),
        features=np.zeros((1, 2, 2)),
        relevance=np.zeros((2, 2)),
        nfe=24 * points * sizes,
    )


@pytest.mark.parametrize("name", ["learned", "dino-random-size"])
def test_every_value_is_the_chosen_cell_of_its_table(root: Path, name: str) -> None:
    scores = read_scores(root / f"artifacts/scores/{name}.csv")
    proposals = CONFIG.variant(name).proposals
    tasks = study_tasks(root)
    choices = read_choices(root / "artifacts/edits" / name / "choices.json")
    assert scores.tasks == tuple(task.id for task in tasks)
    for at, (task, bank) in enumerate(
        zip(tasks, read_banks(root, proposals, tasks=tasks), strict=True)
    ):
        table = read_tensors(root / f"artifacts/judge/{proposals}/{task.id}.safetensors")
        for seed, choice in enumerate(choices[task.id]):
            cell = (choice.point, choice.size)
            assert scores.values["score_s"][at, seed] == bank.score[cell]
            assert scores.values["loss"][at, seed] == bank.loss(LossWeights())[cell]
            np.testing.assert_array_equal(scores.values["lpips"][at, seed], table["lpips"][cell])
            if task.truth and task.truth.box:
                left, top, right, bottom = bank.boxes[cell].tolist()
                ratio = (right - left) * (bottom - top) / task.truth.box.area
                assert scores.values["area_ratio"][at, seed] == pytest.approx(ratio)


@pytest.mark.parametrize("choice", [Choice(99, 0), Choice(0, 99)])
def test_a_choice_that_the_candidates_lack_is_named(root: Path, choice: Choice) -> None:
    path = root / "artifacts/edits/learned/choices.json"
    kept, choices = path.read_bytes(), read_choices(path)
    last = [*choices][-1]
    try:
        write_choices(path, choices | {last: [choice]})
        with pytest.raises(
            UserError, match=f"point {choice.point} and size {choice.size} for .*{last}"
        ):
            evaluate(root, CONFIG, name="learned")
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c | {min(c): []}, "choices for the task"),
        (lambda c: c | {[*c][-1]: [Choice(0, 0)] * 2}, "has 2 choices for the task"),
        (lambda c: c | {"zzz": [Choice(0, 0)]}, "'zzz', no task of this study"),
        (lambda c: {key: c[key] for key in [*c][1:]}, "chose nothing for the task"),
    ],
)
def test_every_task_is_chosen_for_equally_often(root: Path, change: Callable, said: str) -> None:
    path = root / "artifacts/edits/learned/choices.json"
    kept = path.read_bytes()
    try:
        write_choices(path, change(read_choices(path)))
        with pytest.raises(UserError, match=said):
            evaluate(root, CONFIG, name="learned")
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("file", "said"), [("artifacts/nets/learned/summary.json", "no summary of nets"),
                       ("artifacts/tasks/tasks.json", "holds no task")]
)  # fmt: skip
def test_a_file_of_another_kind_is_named(root: Path, file: str, said: str) -> None:
    kept = (root / file).read_bytes()
    try:
        (root / file).write_text("[]")
        with pytest.raises(UserError, match=said):
            evaluate(root, CONFIG, name="learned")
    finally:
        (root / file).write_bytes(kept)


def test_judgements_of_other_candidates_are_refused(root: Path) -> None:
    folder = root / "artifacts/judge"
    path = folder / "dino/eval-002.safetensors"
    kept = path.read_bytes()
    try:
        path.write_bytes((folder / "dino-random/eval-002.safetensors").read_bytes())
        with pytest.raises(UserError, match=r"dino/eval-002.* the 3x6 candidates .* judge again"):
            evaluate(root, CONFIG, name="learned")
    finally:
        path.write_bytes(kept)


def test_judgements_that_lack_a_metric_are_refused(root: Path) -> None:
    path = root / "artifacts/judge/dino/eval-002.safetensors"
    kept, table = path.read_bytes(), read_tensors(path)
    try:
        write_tensors(path, {name: values for name, values in table.items() if name != "clip_i"})
        with pytest.raises(UserError, match=r"eval-002\.safetensors lacks clip_i: run its stage"):
            evaluate(root, CONFIG, name="learned")
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"learned,", b"untrained,", "the scores of 'untrained'"),
        (b",ok\n", b"high,ok\n", "could not convert string to float"),
        (b",ok\n", b"\xe0,ok\n", "can't decode byte 0xe0"),
        (b",,missing\n", b",nan,ok\n", "'nan' is 'ok'"),
        (b",,missing\n", b",inf,ok\n", "'inf' is 'ok'"),
        (b",,missing\n", b"\n", "the value None is None"),
        (b"variant,", b"row,", "other columns"),
    ],
)
def test_scores_that_are_another_row_s_or_none_are_refused(
    root: Path, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    path = tmp_path / "learned.csv"
    path.write_bytes((root / "artifacts/scores/learned.csv").read_bytes().replace(old, new, 1))
    with pytest.raises(
        UserError, match=rf"learned\.csv holds .*{said}.*run its stage evaluate again"
    ):
        read_scores(path)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_half_of_a_table_of_scores_is_refused(root: Path, tmp_path: Path, share: float) -> None:
    lines = (root / "artifacts/scores/learned.csv").read_text().splitlines(keepends=True)
    path = tmp_path / "learned.csv"
    path.write_text("".join(lines[: int(len(lines) * share)]))
    with pytest.raises(UserError, match=r"holds no per-image scores .*evaluate again"):
        read_scores(path)
    path.write_text("".join([*lines, lines[-1]]))
    with pytest.raises(UserError, match=r"holds no per-image scores .*evaluate again"):
        read_scores(path)


def test_the_long_table_has_a_row_for_every_task_seed_and_metric(root: Path) -> None:
    lines = (root / "artifacts/scores/dino-random-size.csv").read_text().splitlines()
    seeds = CONFIG.variant("dino-random-size").seeds
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 1 + len(CATEGORIES) * seeds * len(BY_KEY)
    missing = [line for line in lines if line.endswith(",,missing")]
    assert missing and all("nan" not in line.lower() for line in lines)


@pytest.mark.parametrize(
    ("name", "candidates_used", "share"),
    [
        ("learned", POINTS * SIZES["dino"], 1),
        ("argmin-table", POINTS * SIZES["dino"], 1),
        ("untrained", POINTS, 1 / SIZES["dino"]),
        ("fixed-medium", POINTS, 1 / SIZES["dino"]),
        ("dino-random-size", POINTS, 1 / SIZES["dino-random"]),
        ("ground-truth-box", 1, 1),
    ],
)
def test_every_row_states_its_candidates(
    root: Path, name: str, candidates_used: int, share: float
) -> None:
    metrics = read_json(root / f"artifacts/scores/{name}.json")["metrics"]
    assert metrics["candidates"]["mean"] == candidates_used
    made = 12 * (candidates_used / share)
    assert metrics["nfe"]["mean"] == pytest.approx(made * share)


def test_a_net_that_samples_pays_for_what_it_sampled() -> None:
    variant = Variant.model_validate({"proposals": "dino", "learner": "reinforce"})
    assert count_candidates(variant, random_bank(), trained={"candidates_used": 7}) == 7


def test_the_headline_leaves_remove_and_add_to_their_own_rows(root: Path) -> None:
    summary = read_json(root / "artifacts/scores/learned.json")
    scores = read_scores(root / "artifacts/scores/learned.csv")
    assert summary["tasks"] == HEADLINE and summary["metrics"]["loss"]["n"] == HEADLINE
    keep = np.isin(scores.categories, ["replace", "recolour"])
    assert summary["metrics"]["loss"]["mean"] == pytest.approx(scores.values["loss"][keep].mean())
    assert set(summary["categories"]) == set(CATEGORIES)
    add = summary["categories"]["add"]
    assert (add["iou"]["mean"], add["iou"]["n"], add["iou"]["missing"]) == (None, 0, 1)
    assert add["clip_whole"]["n"] == 1


def test_perfect_backgrounds_are_counted_not_averaged_away(root: Path) -> None:
    summary = read_json(root / "artifacts/scores/ground-truth-box.json")
    assert summary["psnr"] == {"infinite": HEADLINE, "of_mean_mse": None}
    psnr = summary["metrics"]["background_psnr"]
    assert (psnr["mean"], psnr["n"], psnr["missing"]) == (None, 0, 0)
    other = read_json(root / "artifacts/scores/learned.json")
    mse = other["metrics"]["background_mse"]["mean"]
    assert other["psnr"] == {"infinite": 0, "of_mean_mse": pytest.approx(-10 * np.log10(mse))}


def test_the_ceilings_are_what_the_choosing_rules_give() -> None:
    for points in range(1, 6):
        bank = random_bank(points=points)
        got = ceiling_choices(bank)
        assert got["best-of-bank-s"] == best_of_bank(bank, rank="S")
        assert got["best-of-bank-l"] == best_of_bank(bank, rank="loss")


def test_a_task_without_a_choice_is_named(root: Path) -> None:
    path = root / "artifacts/edits/learned/choices.json"
    whole = path.read_text()
    try:
        path.write_text("{}")
        with pytest.raises(UserError, match="learned chose nothing for the task 'eval-000'"):
            evaluate(root, CONFIG, name="learned")
    finally:
        path.write_text(whole)


def test_tables_need_no_torch() -> None:
    code = (
        "import sys, eval, eval.stages.evaluate, eval.stages.report; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
