"""Dataset-level nets as files: trained on one study, used in another before any inpainting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
import yaml

from lr_edit.amortise import best_size, predict_tables, read_nets
from lr_edit.anchor_net import fresh_net
from lr_edit.cli.main import main
from lr_edit.config import Config, load_config
from lr_edit.errors import UserError
from lr_edit.execution.local import run_over_cores
from lr_edit.files import read_yaml
from lr_edit.stages import ablate, amortise
from lr_edit.types import Bank, EditTask, LossWeights
from lr_edit.variant import Ablation
from lr_edit.workspace.storage import (
    read_banks,
    read_json,
    study_tasks,
    write_bank,
    write_tasks,
)
from tests.source_tree import ROOT
from tests.tiny import tiny_params, write_params

POINTS, SIZES, CHANNELS = 3, 2, 5
ROWS: dict[str, dict[str, Any]] = {
    "fixed": {"scope": "dataset", "choose": "fixed"},
    "fixed-by-s": {"scope": "dataset", "choose": "fixed", "by": "S"},
    "start": {"scope": "dataset", "seeds": 2},
    "blind": {"scope": "dataset", "trained_on": 4, "seeds": 2},
    "text": {"scope": "dataset", "trained_on": 4, "text": True, "seeds": 2},
    "top-2": {"scope": "dataset", "trained_on": 4, "seeds": 2, "top": 2},
    "table": {"choose": "table"},
    "raced": {
        "scope": "dataset",
        "trained_on": 4,
        "seeds": 2,
        "previews": ["dino"],
        "entrants": 1,
        "budget": 20,
    },
}


T = TypeVar("T")


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    return iter(items)


def bank(rng: np.random.Generator) -> Bank:
    shape = (POINTS, SIZES)
    corner = rng.integers(0, 32, (*shape, 2))
    return Bank(
        boxes=np.concatenate([corner, corner + rng.integers(4, 32, (*shape, 2))], -1),
        losses=rng.random((*shape, 3)),
        cosines=rng.random((*shape, 2)),
        anchors=np.zeros((POINTS, 2), int),
        attention=rng.random((4, 4)),
        features=rng.random((CHANNELS, 4, 4)).astype(np.float32),
        relevance=rng.random((4, 4)).astype(np.float32),
        nfe=60,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A study of six inpainted tasks."""
    params = tiny_params()
    params["dataset_net"] |= {"tasks": [2, 4], "seeds": 2, "steps": 3, "batch": 2}
    params["ablations"] = {
        "amortised": {name: {"proposals": "dino", **row} for name, row in ROWS.items()}
    }
    params["profiles"]["picturebook"]["anchor_net"] = {"name": "local-dir:artifacts/anchor-net"}
    write_params(tmp_path, params)
    rng = np.random.default_rng(0)
    tasks = [EditTask(f"t{at}", Path(f"t{at}.png"), "a cup", "a fish") for at in range(6)]
    write_tasks(tmp_path / "artifacts/tasks/tasks.json", tasks)
    for task in tasks:
        folder = tmp_path / "artifacts/tables/dino"
        write_bank(folder / f"{task.id}.safetensors", bank(rng))
    return tmp_path


@pytest.fixture
def config(root: Path) -> Config:
    return load_config(root / "params.yaml")


def row(name: str, config: Config) -> Ablation:
    return config.ablations["amortised"][name]


@pytest.mark.long
def test_a_net_a_number_of_tasks_sight_and_start_and_the_same_bytes_on_two_processes(
    root: Path, config: Config
) -> None:
    folder = root / "artifacts/anchor-net/dino"
    amortise.run(root, config, track=track)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {"card.json"} | {
        f"{sight}-{count}-{seed}.safetensors"
        for sight in ("blind", "text") for count in (2, 4) for seed in (0, 1)
    }  # fmt: skip
    amortise.run(root, config, track=track, execute=partial(run_over_cores, workers=2))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_the_stage_is_given_all_that_it_reads(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    extra = read_yaml(ROOT / "lr_edit/stages/extra.yaml")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"amortise": extra["amortise"]}}))
    main(["--root", str(root), "stage", "amortise"])
    card = read_json(root / "artifacts/anchor-net/dino/card.json")
    assert card["dataset_net"]["proposals"] == "dino" and len(card["sizes"]) == SIZES


def test_the_best_size_has_the_lowest_mean_loss_or_the_highest_s_of_its_winner(
    root: Path, config: Config
) -> None:
    amortise.run(root, config, track=track)
    banks = read_banks(root, "dino", tasks=study_tasks(root))
    losses = np.mean([one.loss(LossWeights()).mean(0) for one in banks], axis=0)
    winners = np.mean([one.score.max(0) for one in banks], axis=0)
    assert best_size(root, config, proposals="dino", by="J") == losses.argmin()
    assert best_size(root, config, proposals="dino", by="S") == winners.argmax()


@pytest.mark.parametrize("name", ["start", "blind", "text"])
def test_no_loss_of_the_unseen_task_is_read_and_no_companion_matters(
    root: Path, config: Config, name: str
) -> None:
    amortise.run(root, config, track=track)
    banks = read_banks(root, "dino", tasks=study_tasks(root))
    blank = [
        replace(one, losses=one.losses * np.nan, cosines=one.cosines * np.nan) for one in banks
    ]
    first = list(predict_tables(root, config, row=row(name, config), banks=banks))
    other = list(predict_tables(root, config, row=row(name, config), banks=blank[::-1]))[::-1]
    np.testing.assert_array_equal(first, other)
    assert np.allclose(np.exp(first).sum((-2, -1)), 1)


def test_only_a_net_with_text_sees_the_words(root: Path, config: Config) -> None:
    amortise.run(root, config, track=track)
    banks = read_banks(root, "dino", tasks=study_tasks(root))
    turned = [replace(one, relevance=one.relevance[::-1].copy()) for one in banks]
    for name, equal in (("blind", True), ("text", False)):
        first = list(predict_tables(root, config, row=row(name, config), banks=banks))
        other = list(predict_tables(root, config, row=row(name, config), banks=turned))
        assert np.array_equal(first, other) == equal


def test_trained_on_nothing_it_is_the_start_of_its_seed(root: Path, config: Config) -> None:
    amortise.run(root, config, track=track)
    for text, channels in ((False, CHANNELS), (True, CHANNELS + 1)):
        nets = read_nets(root, config, proposals="dino", text=text, trained_on=2, seeds=2)
        for seed, net in enumerate(nets):
            start = fresh_net(channels, SIZES, generator=torch.Generator().manual_seed(seed))
            assert net.project.weight.shape == start.project.weight.shape
            assert not torch.equal(net.project.weight, start.project.weight)


def test_a_row_counts_what_it_inpaints_and_expects_what_its_distribution_does(
    root: Path, config: Config
) -> None:
    amortise.run(root, config, track=track)
    ablate.run(root, config, track=track)
    found = read_json(root / "artifacts/ablations.json")["amortised"]
    assert (
        found["blind"]["candidates_used"] == [POINTS] * 6
        and found["top-2"]["candidates_used"] == [2] * 6
    )
    banks = read_banks(root, "dino", tasks=study_tasks(root))
    floor = [one.loss(LossWeights()).min(-1).mean() for one in banks]
    np.testing.assert_allclose(np.ravel(found["table"]["expected"]), floor)
    assert (np.array(found["blind"]["expected"]) >= np.array(floor)[:, None]).all()
    size = best_size(root, config, proposals="dino", by="J")
    fixed = [one.loss(LossWeights())[:, size].mean() for one in banks]
    np.testing.assert_allclose(np.ravel(found["fixed"]["expected"]), fixed)
    assert found["top-2"]["expected"] == [[None, None]] * 6


def test_of_the_top_pairs_the_one_with_the_highest_s_is_taken(root: Path, config: Config) -> None:
    amortise.run(root, config, track=track)
    ablate.run(root, config, track=track)
    choices = read_json(root / "artifacts/ablations.json")["amortised"]["top-2"]["choices"]
    banks = read_banks(root, "dino", tasks=study_tasks(root))
    predicted = predict_tables(root, config, row=row("top-2", config), banks=banks)
    for one, tables, seeds in zip(banks, predicted, choices, strict=True):
        for table, (point, size) in zip(tables, seeds, strict=True):
            likely = np.argsort(-table, axis=None)[:2]
            best = likely[one.score.flat[likely].argmax()]
            assert point * SIZES + size == best


def test_the_top_pair_of_all_seeds_together_enters_a_race(root: Path, config: Config) -> None:
    amortise.run(root, config, track=track)
    ablate.run(root, config, track=track)
    raced = read_json(root / "artifacts/ablations.json")["amortised"]["raced"]
    banks = read_banks(root, "dino", tasks=study_tasks(root))
    predicted = predict_tables(root, config, row=row("raced", config), banks=banks)
    for tables, ((point, size),) in zip(predicted, raced["choices"], strict=True):
        assert point * SIZES + size == np.exp(tables).mean(0).argmax()
    assert raced["nfe"] == [10 + 10] * 6


def test_what_is_missing_is_said_with_its_cure(root: Path, config: Config) -> None:
    with pytest.raises(UserError, match="make study STUDY=train"):
        list(predict_tables(root, config, row=row("blind", config), banks=[]))
    sd2 = config.model_copy(update={"profile": "sd2"})
    with pytest.raises(UserError, match="anchor_net"):
        read_nets(root, sd2, proposals="dino", text=False, trained_on=2, seeds=1)
    assert config.dataset_net
    many = config.dataset_net.model_copy(update={"tasks": (2, 7)})
    with pytest.raises(UserError, match="7 tasks"):
        amortise.run(root, config.model_copy(update={"dataset_net": many}), track=track)
