"""What the race's page says follows from tables and choices alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eval.report.race_page import read_measured
from eval.stages import race
from eval.study.race import above, measure_race, rank_correlation, retention
from lr_edit.config import Config, load_config
from lr_edit.errors import UserError
from lr_edit.stages import ablate
from lr_edit.types import Bank, EditTask
from lr_edit.workspace.storage import write_bank, write_tasks
from tests.tiny import tiny_params, write_params

ROWS = {
    "enumerate": {"proposals": "dino", "choose": "best"},
    "random-1": {"proposals": "dino", "choose": "sample", "draws": 1, "seeds": 3},
    "released": {"proposals": "dino-random", "choose": "fixed"},
    "raced": {"proposals": "dino", "previews": ["preview"], "budget": 6 * 2 + 2 * 10},
}
TASKS = [
    EditTask(f"t{at}", Path(f"t{at}.png"), "a cup", "a fish", category="replace") for at in range(8)
]


def silent(items, label, total=None):
    yield from items


def bank(score: np.ndarray, *, each: int, move: int = 0) -> Bank:
    left = np.arange(score.size).reshape(score.shape) + move
    boxes = np.stack([left, left, left + 5, left + 5], -1)
    none, anchors = np.zeros((2, 2)), np.zeros((2, 2), int)
    return Bank(
        boxes, np.zeros((*score.shape, 3)), np.stack([score / 2, 0 * score], -1), anchors, none,
        none[None], none, each * score.size,
    )  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Config]:
    """Eight tasks of six boxes; previews are finals with a little noise."""
    params = tiny_params()
    params["proposals"]["preview"] = params["proposals"]["dino"]
    params["variants"], params["ablations"] = {}, {"race": ROWS}
    write_params(tmp_path, params)
    write_tasks(tmp_path / "artifacts/tasks/tasks.json", TASKS)
    rng = np.random.default_rng(0)
    for task in TASKS:
        full = rng.normal(size=(2, 3))
        tables = {
            "dino": bank(full, each=10),
            "preview": bank(full + 0.2 * rng.normal(size=(2, 3)), each=2),
            "dino-random": bank(full.mean() + 0 * full, each=10, move=1),
        }
        for name, one in tables.items():
            folder = tmp_path / "artifacts/tables" / name
            write_bank(folder / f"{task.id}.safetensors", one)
    config = load_config(tmp_path / "params.yaml")
    ablate.run(tmp_path, config, track=silent)
    return tmp_path, config


def read(root: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (root / "reports/race.csv").open() as file:
        return {(row["measure"], row["name"]): row for row in csv.DictReader(file)}


def test_the_page_names_cost_and_retention_of_every_strategy(study: tuple[Path, Config]) -> None:
    root, config = study
    race.run(root, config)
    page = (root / "reports/race.md").read_text()
    found = read(root)
    assert float(found["retention", "enumerate"]["value"]) == 1
    assert float(found["retention", "enumerate"]["nfe"]) == 60
    assert float(found["retention", "released"]["value"]) == pytest.approx(0, abs=1e-9)
    raced = found["retention", "raced"]
    assert float(raced["nfe"]) == 6 * 2 + 2 * 10
    assert 0.5 < float(raced["low"]) <= float(raced["value"]) <= float(raced["high"]) <= 1
    assert float(found["s_above_released", "raced"]["low"]) > 0 and "above it" in page
    assert [key for key in found if key[0] == "correlation"] == [("correlation", "preview")]
    assert float(found["correlation", "preview"]["nfe"]) == 2
    assert "Raced: 32 NFE per task" in page
    assert (root / "reports/race.png").stat().st_size > 10_000


def test_a_study_without_a_race_is_refused(study: tuple[Path, Config]) -> None:
    root, config = study
    with pytest.raises(UserError, match=r"studies/race\.yaml"):
        race.run(root, config.model_copy(update={"ablations": {}}))


def test_the_page_comes_from_its_csv_alone(study: tuple[Path, Config]) -> None:
    root, config = study
    race.run(root, config)
    kept = read_measured(root / "reports/race.csv", config)
    assert kept == measure_race(root, config) and kept.races == {"raced"}
    (root / "reports/race.csv").write_text("measure,name\n")
    with pytest.raises(UserError, match="holds no race"):
        read_measured(root / "reports/race.csv", config)


def test_rank_correlation_is_spearman_s_over_distinct_boxes() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    full = bank(other, each=1)
    expected = stats.spearmanr(one.ravel(), other.ravel()).statistic
    assert rank_correlation(bank(one, each=1), full) == pytest.approx(expected)
    full.boxes[1] = full.boxes[0]  # three boxes, twice
    expected = stats.spearmanr(one[0], other[0]).statistic
    assert rank_correlation(bank(one, each=1), full) == pytest.approx(expected)
    assert np.isnan(rank_correlation(bank(np.ones((2, 3)), each=1), full))


def test_retention_is_a_share_of_the_gain_from_random_to_best() -> None:
    random, best = np.zeros(20), np.linspace(1, 2, 20)
    value, low, high = retention(best * 0.7, random=random, best=best, resamples=99, seed=0)
    assert value == pytest.approx(0.7) and low == pytest.approx(0.7) == high


def test_equal_scores_are_not_above() -> None:
    same = np.linspace(0, 1, 12)
    noise = np.where(np.arange(12) % 2, 0.1, -0.1)
    assert above("a", same, released=same + noise, resamples=99, seed=0).low < 0
    assert above("a", same + 1 + noise, released=same, resamples=99, seed=0).low > 0
