"""The stages do what the editor does, byte for byte, and nothing is ever inpainted twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lr_edit import method
from lr_edit.config import Config, load_config
from lr_edit.execution.local import Execute, run_in_loop
from lr_edit.frozen.models import Models, load_models
from lr_edit.proposal_set import ProposalSet
from lr_edit.stages import candidates, edit, prepare, train
from lr_edit.workspace.storage import (
    read_bank,
    read_choices,
    read_image,
    read_json,
    read_tensors,
    study_image,
    study_tasks,
    write_bank,
    write_tensors,
)

EACH = 2 * 2  # evaluations a candidate: two steps, both with guidance


def silent(items: Iterable, label: str, total: int | None = None) -> Iterator:
    yield from items


class Killed(Exception):
    """Somebody pulled the plug."""


def killed_after(count: int) -> Execute:
    """An executor that dies before item `count`."""

    def execute(items: Iterable, make: Callable) -> Iterator:
        for index, item in enumerate(items):
            if index == count:
                raise Killed
            yield from run_in_loop([item], make)

    return execute


@pytest.fixture
def config(tiny_root: Path) -> Config:
    """The tiny study's, prepared."""
    config = load_config(tiny_root / "params.yaml")
    prepare.run(tiny_root, config)
    return config


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Models]:
    """Every set of models that the stage loads."""
    sets: list[Models] = []

    def load(*args, **options) -> Models:
        sets.append(load_models(*args, **options))
        return sets[-1]

    monkeypatch.setattr("lr_edit.frozen.models.load_models", load)
    return sets


def inpainted(sets: list[Models]) -> int:
    """UNet evaluations so far."""
    return sum(models.inpainter.nfe for models in sets)


def outputs(root: Path, name: str = "dino") -> dict[str, bytes]:
    parts = {
        "tables": root / "artifacts/tables" / name,
        "images": root / "artifacts/candidates" / name,
    }
    return {
        f"{part}/{path.name}": path.read_bytes()
        for part, folder in parts.items() for path in sorted(folder.iterdir())
    }  # fmt: skip


def test_stages_and_editor_agree_byte_for_byte(tiny_root: Path, config: Config) -> None:
    candidates.run(tiny_root, config, name="dino", track=silent)
    train.run(tiny_root, config, name="learned", track=silent)
    edit.run(tiny_root, config, name="learned")
    kept = outputs(tiny_root)
    choices = read_choices(tiny_root / "artifacts/edits/learned/choices.json")
    nets = tiny_root / "artifacts/nets/learned"
    models = load_models(tiny_root, config.models)
    for task in study_tasks(tiny_root):
        source = torch.from_numpy(study_image(tiny_root, task))
        pictures, choice, bank = method.edit(
            models, task, source=source, config=config, variant=config.variant("learned")
        )
        write_bank(tiny_root / "again/tables", bank)
        assert (tiny_root / "again/tables").read_bytes() == kept[f"tables/{task.id}.safetensors"]
        assert choices[task.id] == [choice]
        stored = read_image(tiny_root / f"artifacts/edits/learned/{task.id}.png")
        assert np.array_equal(pictures[choice.point, choice.size].permute(1, 2, 0).numpy(), stored)
        images = read_tensors(tiny_root / f"artifacts/candidates/dino/{task.id}.safetensors")[
            "images"
        ]
        assert np.array_equal(images[choice.point, choice.size], stored.transpose(2, 0, 1))
        net = next(
            method.learn_sizes(
                [task.id],
                [bank],
                variant=config.variant("learned"),
                side=64,
                seed=config.study.seed,
            )
        )
        write_tensors(tiny_root / "again/net", {k: v.numpy() for k, v in net.state.items()})
        alone = read_tensors(tiny_root / "again/net")
        stacked = read_tensors(nets / f"{task.id}.safetensors")
        for key, value in alone.items():
            np.testing.assert_allclose(value, stacked[key], rtol=0, atol=1e-6)


def test_candidates_fit_the_contract(tiny_root: Path, config: Config) -> None:
    candidates.run(tiny_root, config, name="dino", track=silent)
    for task in study_tasks(tiny_root):
        folder = tiny_root / "artifacts"
        bank = read_bank(folder / f"tables/dino/{task.id}.safetensors")
        images = read_tensors(folder / f"candidates/dino/{task.id}.safetensors")["images"]
        assert images.shape == (2, 2, 3, 64, 64) and images.dtype == np.uint8
        assert bank.boxes.shape == (2, 2, 4) and bank.losses.shape == (2, 2, 3)
        assert bank.cosines.shape == (2, 2, 2) and bank.anchors.shape == (2, 2)
        distinct = len(np.unique(bank.boxes.reshape(-1, 4), axis=0))
        assert bank.nfe == distinct * EACH
        assert np.isfinite(bank.losses).all() and np.isfinite(bank.cosines).all()
        source = study_image(tiny_root, task)
        for box, image in zip(
            bank.boxes.reshape(-1, 4), images.reshape(-1, 3, 64, 64), strict=True
        ):
            left, top, right, bottom = box
            outside = np.ones((64, 64), bool)
            outside[top:bottom, left:right] = False
            assert np.array_equal(image[:, outside], source[:, outside])
            assert not np.array_equal(image, source)


SETS: dict[str, tuple[dict[str, Any], tuple[int, int], int]] = {  # -> shape, evaluations
    "relevance": ({"anchors": "relevance", "boxes": "squares"}, (2, 2), 4 * EACH),
    "grid": ({"anchors": "grid", "boxes": "squares"}, (2, 2), 4 * EACH),
    "random": ({"anchors": "random", "boxes": "squares"}, (2, 2), 4 * EACH),
    "relevance-box": ({"anchors": "relevance", "boxes": "threshold"}, (1, 1), EACH),
    "diffedit-box": ({"anchors": "diffedit", "boxes": "threshold"}, (1, 1), 20 + EACH),
    "diffedit": ({"anchors": "diffedit", "boxes": "squares"}, (2, 2), 20 + 4 * EACH),
    "independent": (
        {"anchors": "centre", "boxes": "squares", "noise": "independent", "noise_seed": 1},
        (1, 2), 2 * EACH,
    ),
    "object": ({"anchors": "centre", "boxes": "squares", "prompt": "object"}, (1, 2), 2 * EACH),
    "sdedit": (
        {"anchors": "centre", "boxes": "squares", "propose": {"sizes": (1.0,)},
         "inpaint": {"strength": 0.5}}, (1, 1), 2,
    ),
    "released": (
        {"anchors": "released", "boxes": "released", "noise": "independent",
         "template": "a high quality image of {}.", "inpaint": {"solver": "pndm"}}, (2, 1), 2 * 6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_every_kind_of_set_inpaints_in_its_boxes(
    tiny_root: Path, config: Config, name: str
) -> None:
    how, shape, nfe = SETS[name]
    parts = {part: getattr(config, part).model_dump() for part in ("propose", "inpaint")}
    chosen = ProposalSet.model_validate(how | {k: v | how.get(k, {}) for k, v in parts.items()})
    models, task = load_models(tiny_root, config.models), study_tasks(tiny_root)[0]
    source = torch.from_numpy(study_image(tiny_root, task))
    bank, images = method.make_bank(models, task, source=source, config=config, how=chosen)
    assert bank.losses.shape == (*shape, 3) and np.isfinite(bank.losses).all()
    assert bank.nfe == nfe
    for box, image in zip(bank.boxes.reshape(-1, 4), images.flatten(0, 1), strict=True):
        left, top, right, bottom = box
        changed = (image != source).any(0).nonzero()
        assert len(changed)
        assert (changed.amin(0) >= torch.tensor([top, left])).all()
        assert (changed.amax(0) < torch.tensor([bottom, right])).all()


def test_a_second_run_inpaints_nothing(
    tiny_root: Path, config: Config, loaded: list[Models]
) -> None:
    candidates.run(tiny_root, config, name="dino", track=silent)
    first, nfe = outputs(tiny_root), inpainted(loaded)
    assert nfe > 0
    candidates.run(tiny_root, config, name="dino", track=silent)
    assert inpainted(loaded) == nfe and len(loaded) == 1
    assert outputs(tiny_root) == first


def test_half_a_cache_costs_half_a_run(
    tiny_root: Path, config: Config, loaded: list[Models], tmp_path: Path
) -> None:
    candidates.run(tiny_root, config, name="dino", track=silent)
    first = outputs(tiny_root)
    sorted((tmp_path / "cache/candidates").iterdir())[0].unlink()
    candidates.run(tiny_root, config, name="dino", track=silent)
    assert 0 < loaded[1].inpainter.nfe < loaded[0].inpainter.nfe
    assert outputs(tiny_root) == first


@pytest.mark.long
def test_a_killed_run_goes_on_where_it_was(
    tiny_root: Path, config: Config, loaded: list[Models], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        candidates.run(tiny_root, config, name="dino", track=silent, execute=killed_after(1))
    done = loaded[0].inpainter.nfe
    assert len(list((tmp_path / "cache/candidates").iterdir())) == 1
    assert not list((tmp_path / "cache").rglob("*.part"))
    candidates.run(tiny_root, config, name="dino", track=silent)
    resumed = outputs(tiny_root)
    total = sum(read_bank(path).nfe for path in (tiny_root / "artifacts/tables/dino").iterdir())
    assert 0 < done < total and inpainted(loaded) == total
    for path in (tmp_path / "cache/candidates").iterdir():
        path.unlink()
    candidates.run(tiny_root, config, name="dino", track=silent)
    assert outputs(tiny_root) == resumed  # an unbroken run gives the same bytes


def test_what_matters_is_inpainted_anew_and_what_does_not_is_not(
    tiny_root: Path, config: Config, loaded: list[Models]
) -> None:
    candidates.run(tiny_root, config, name="dino", track=silent)
    variants = {"learned": config.variant("learned").model_copy(update={"steps": 9})}
    candidates.run(
        tiny_root, config.model_copy(update={"variants": variants}), name="dino", track=silent
    )
    assert len(loaded) == 1
    score = config.score.model_copy(update={"prompt": "a picture of {}"})
    candidates.run(tiny_root, config.model_copy(update={"score": score}), name="dino", track=silent)
    assert len(loaded) == 2


def test_a_preview_has_the_same_boxes_for_fewer_evaluations(
    tiny_root: Path, config: Config, loaded: list[Models]
) -> None:
    full = config.proposal_set("dino")
    once = full.inpaint.model_copy(update={"stop": 1, "guidance": 1.0})
    sets = {"dino": full, "early": full.model_copy(update={"inpaint": once})}
    both = config.model_copy(update={"proposals": sets})
    for name in sets:
        candidates.run(tiny_root, both, name=name, track=silent)
    assert len(loaded) == 2  # the one's candidates are not taken for the other's
    for task in study_tasks(tiny_root):
        tables = [
            read_bank(tiny_root / f"artifacts/tables/{name}/{task.id}.safetensors") for name in sets
        ]
        assert np.array_equal(tables[0].boxes, tables[1].boxes)
        assert tables[0].nfe == EACH * tables[1].nfe


def test_training_leaves_curves_probabilities_and_a_summary(
    tiny_root: Path, config: Config
) -> None:
    candidates.run(tiny_root, config, name="dino", track=silent)
    train.run(tiny_root, config, name="learned", track=silent)
    folder = tiny_root / "artifacts/nets/learned"
    tasks = [task.id for task in study_tasks(tiny_root)]
    for table in read_tensors(folder / "probabilities.safetensors").values():
        assert table.shape == (1, 2, 2)
        np.testing.assert_allclose(table.sum(-1), 1, atol=1e-5)
    summary = read_json(folder / "summary.json")
    assert summary["learner"] == "exact" and set(summary["tasks"]) == set(tasks)
    for row in summary["tasks"].values():
        assert row["floor"] <= row["start"] and row["floor"] <= row["end"]
        assert row["candidates_used"] == 4
    steps = config.variant("learned").steps
    assert len((folder / "curves.jsonl").read_text().splitlines()) == len(tasks) * (steps + 1)


def test_variants_without_a_net_say_so_and_still_choose(tiny_root: Path, config: Config) -> None:
    for name, proposals, seeds in (
        ("fixed-medium", "dino", 1),
        ("dino-random-size", "dino-random", 2),
    ):
        candidates.run(tiny_root, config, name=proposals, track=silent)
        train.run(tiny_root, config, name=name, track=silent)
        edit.run(tiny_root, config, name=name)
        summary = read_json(tiny_root / f"artifacts/nets/{name}/summary.json")
        assert summary == {"learner": None}
        choices = read_choices(tiny_root / f"artifacts/edits/{name}/choices.json")
        assert {len(row) for row in choices.values()} == {seeds}
        if name == "fixed-medium":
            assert {choice.size for row in choices.values() for choice in row} == {1}
