"""What the live race answers is what a replay over a study's tables answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lr_edit.budgeted_editor import BudgetedEdit, edit_within_budget
from lr_edit.config import Config, Race, load_config
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models, load_models
from lr_edit.method import make_bank
from lr_edit.stages import ablate, candidates, prepare
from lr_edit.types import EditTask, LossWeights, Merit
from lr_edit.variant import Ablation
from lr_edit.workspace.storage import read_json, read_tensors, study_image, study_tasks
from tests.fakes import FakeAnchors, FakeClip, FakeInpainter, drawn
from tests.test_method import silent
from tests.tiny import tiny_params, write_params

BUDGET = 4 * 1 + 2 * 4  # four previews of one evaluation, two finalists of four


@pytest.fixture
def config(tiny_root: Path) -> Config:
    """Two sets of the same boxes: one step without guidance, and the study's own."""
    params = tiny_params()
    params["proposals"]["preview"] = {
        **params["proposals"]["dino"], "inpaint": {"steps": 1, "guidance": 1.0}
    }  # fmt: skip
    params["variants"], params["ablations"] = {}, {
        "race": {"race": {"proposals": "dino", "previews": ["preview"], "budget": BUDGET}}
    }  # fmt: skip
    write_params(tiny_root, params)
    config = load_config(tiny_root / "params.yaml")
    prepare.run(tiny_root, config)
    return config


def raced(
    models: Models, task: EditTask, source: torch.Tensor, config: Config, *, budget: int = BUDGET,
    batch: int = 3, prior: list[list[float]] | None = None, entrants: int | None = None,
) -> BudgetedEdit:  # fmt: skip
    full, preview = (
        config.proposal_set(name).inpaint.model_copy(update={"batch": batch})
        for name in ("dino", "preview")
    )
    how = config.proposal_set("dino").model_copy(update={"inpaint": full})
    tell = None if prior is None else lambda _seen, _boxes: np.array(prior)
    previews = (preview,) if prior is None or entrants else ()
    rules = Race(previews=previews, budget=budget, entrants=entrants)
    return edit_within_budget(
        models, task, source=source, config=config, how=how, rules=rules, prior=tell
    )


@pytest.mark.long
def test_a_live_race_answers_as_the_tables_do(tiny_root: Path, config: Config) -> None:
    for name in ("dino", "preview"):
        candidates.run(tiny_root, config, name=name, track=silent)
    ablate.run(tiny_root, config, track=silent)
    row = read_json(tiny_root / "artifacts/ablations.json")["race"]["race"]
    models = load_models(tiny_root, config.models)
    for at, task in enumerate(study_tasks(tiny_root)):
        source = torch.from_numpy(study_image(tiny_root, task))
        before = models.inpainter.nfe
        done = raced(models, task, source, config)
        point, size = row["choices"][at][0]
        assert done.raced.winner == 2 * point + size
        assert done.raced.nfe == row["nfe"][at]
        assert done.raced.nfe == models.inpainter.nfe - before <= BUDGET
        assert row["candidates_used"][at] == -(-row["nfe"][at] // 4)
        table = tiny_root / f"artifacts/candidates/dino/{task.id}.safetensors"
        kept = read_tensors(table)["images"][point, size].astype(int)
        # In another batch convolutions round otherwise: a pixel may differ by one of 255.
        assert np.abs(done.candidates[0].image.numpy().astype(int) - kept).max() <= 1


@pytest.fixture
def fakes() -> Models:
    return Models(anchors=FakeAnchors(), clip=FakeClip(), inpainter=FakeInpainter())


SOURCE = (drawn(0, 3, 64, 64).sigmoid() * 255).to(torch.uint8)
TASK = EditTask("a", Path("a.png"), source="a red boat", prompt="a blue fish on sand")


def test_the_chosen_box_does_not_depend_on_the_batch_size(fakes: Models, config: Config) -> None:
    first, *others = (raced(fakes, TASK, SOURCE, config, batch=batch) for batch in (1, 2, 3, 50))
    for one in others:
        assert one.raced == first.raced
        for ours, theirs in zip(one.candidates, first.candidates, strict=True):
            assert ours.box == theirs.box and torch.equal(ours.image, theirs.image)


def test_nothing_outside_the_winner_s_box_changes(fakes: Models, config: Config) -> None:
    done = raced(fakes, TASK, SOURCE, config)
    left, top, right, bottom = done.candidates[0].box.as_tuple()
    changed = (done.candidates[0].image != SOURCE).any(0)
    assert changed[top:bottom, left:right].any()
    changed[top:bottom, left:right] = False
    assert not changed.any()


def test_a_race_by_loss_is_won_by_the_lowest_loss(fakes: Models, config: Config) -> None:
    how = config.proposal_set("dino")
    bank, _ = make_bank(fakes, TASK, source=SOURCE, config=config, how=how)
    by: dict[Merit, np.ndarray] = {"S": bank.score, "loss": -bank.loss(LossWeights())}
    for rank, best in by.items():
        rules = Race(previews=(), budget=9999, entrants=None, rank=rank)
        done = edit_within_budget(
            fakes,
            TASK,
            source=SOURCE,
            config=config,
            how=how,
            rules=rules,
            prior=None,
        )
        assert done.raced.merit == best.max() and best.flat[done.raced.winner] == best.max()


def test_a_prior_alone_inpaints_the_top_boxes_at_full_quality(
    fakes: Models, config: Config
) -> None:
    prior = [[0.1, 0.2], [0.6, 0.1]]
    done = raced(fakes, TASK, SOURCE, config, budget=4, prior=prior)
    assert (done.raced.winner, done.raced.entered) == (2, (1,))
    assert fakes.inpainter.nfe == done.raced.nfe == 4


def test_with_a_prior_the_top_k_alone_enter_the_race(fakes: Models, config: Config) -> None:
    prior = [[0.1, 0.2], [0.4, 0.3]]
    done = raced(fakes, TASK, SOURCE, config, budget=3 + 4, prior=prior, entrants=2)
    assert done.raced.entered == (2, 1) and done.raced.winner in (2, 3)
    assert fakes.inpainter.nfe == done.raced.nfe == 2 + 4


def test_a_budget_that_does_not_reach_for_all_previews_the_first(
    fakes: Models, config: Config
) -> None:
    done = raced(fakes, TASK, SOURCE, config, budget=7)
    assert done.raced.entered == (3, 1) and done.raced.winner < 3
    assert fakes.inpainter.nfe == done.raced.nfe == 7


def test_too_small_a_budget_is_one_sentence_and_inpaints_nothing(
    fakes: Models, config: Config
) -> None:
    with pytest.raises(UserError, match="too small"):
        raced(fakes, TASK, SOURCE, config, budget=4)
    assert fakes.inpainter.nfe == 0


@pytest.mark.long
def test_a_race_over_a_part_of_the_boxes_costs_its_own_evaluations(
    tiny_root: Path, config: Config
) -> None:
    for name in ("dino", "preview"):
        candidates.run(tiny_root, config, name=name, track=silent)
    row = config.ablations["race"]["race"].model_dump() | {"points": 1, "budget": 2 + 4}
    part = config.model_copy(update={"ablations": {"race": {"race": Ablation(**row)}}})
    ablate.run(tiny_root, part, track=silent)
    found = read_json(tiny_root / "artifacts/ablations.json")["race"]["race"]
    assert found["nfe"] == [2 + 4, 2 + 4]
    assert all(point == 0 for ((point, _),) in found["choices"])


def test_a_race_cannot_rank_as_the_release_does(tiny_root: Path, config: Config) -> None:
    for name in ("dino", "preview"):
        candidates.run(tiny_root, config, name=name, track=silent)
    row = config.ablations["race"]["race"].model_copy(update={"rank": "released"})
    other = config.model_copy(update={"ablations": {"race": {"race": row}}})
    with pytest.raises(UserError, match="`rank: S` or `rank: loss`"):
        ablate.run(tiny_root, other, track=silent)
