"""An inpainter that makes no picture: its candidate has no score, wins nothing, and is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.study.evaluate import count_failed
from lr_edit.choose import best_of_bank
from lr_edit.config import load_config
from lr_edit.editor import Editor
from lr_edit.errors import Notice
from lr_edit.frozen.models import Models
from lr_edit.inpaint import inpaint_candidates
from lr_edit.score import WORST, score_candidates
from lr_edit.stages.candidates import INPAINTED, Way
from lr_edit.stages.candidates import run as make_candidates
from lr_edit.stages.prepare import run as prepare
from lr_edit.types import Box, EditTask, Sampler
from lr_edit.workspace.storage import read_banks, study_tasks
from tests.fakes import FakeAnchors, FakeClip, FakeInpainter
from tests.test_choose import bank

SIDE, SCORE = 16, load_config().score
BOXES = torch.tensor([[[0, 0, 8, 8], [4, 4, 16, 16]], [[8, 0, 16, 8], [0, 0, 16, 16]]])
TASK = EditTask("a", Path("a.png"), "a boat", "a fish")


class Breaking(FakeInpainter):
    """Makes `value` of every other box, in the whole picture or in one pixel of it."""

    def __init__(self, value: float, *, everywhere: bool) -> None:
        super().__init__()
        self._value, self._everywhere = value, everywhere

    def inpaint(self, image: Tensor, prompt: str, **how) -> Tensor:
        made = super().inpaint(image, prompt, **how)
        made[1::2, :, slice(None) if self._everywhere else 5, :] = self._value
        return made


def inpaint(inpainter: FakeInpainter, source: Tensor) -> Tensor:
    images, _ = inpaint_candidates(
        inpainter, source, prompt=TASK.prompt, boxes=BOXES, sampler=Sampler(2, 1.0, 1.0),
        seed=0, feather=1, batch=4,
    )  # fmt: skip
    return images


@pytest.mark.parametrize(
    ("value", "everywhere"),
    [(torch.nan, True), (torch.nan, False), (torch.inf, False), (-torch.inf, True), (0.0, True)],
)
def test_what_is_no_picture_has_no_score_and_the_others_are_as_ever(
    value: float, everywhere: bool
) -> None:
    source = torch.full((3, SIDE, SIDE), 90, dtype=torch.uint8)
    good = inpaint(FakeInpainter(), source)
    made = inpaint(Breaking(value, everywhere=everywhere), source)
    failed = ~(made != 0).flatten(2).any(-1)
    assert failed.sum() == 2
    assert torch.equal(made[~failed], good[~failed])
    how: Any = {"source": source, "score": SCORE}
    losses, cosines = score_candidates(FakeClip(), TASK, images=made, **how)
    as_ever = score_candidates(FakeClip(), TASK, images=good, **how)
    assert torch.equal(losses[~failed], as_ever[0][~failed]) and (losses[failed] == WORST).all()
    assert torch.equal(cosines[~failed], as_ever[1][~failed]) and cosines[failed].isnan().all()


def test_black_of_what_is_black_is_a_picture() -> None:
    source = torch.zeros((3, SIDE, SIDE), dtype=torch.uint8)
    made = inpaint(Breaking(0.0, everywhere=True), source)
    _, cosines = score_candidates(FakeClip(), TASK, source=source, images=made, score=SCORE)
    assert not cosines.isnan().any()


def test_a_stage_keeps_the_others_goes_on_and_says_how_many_failed(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> Models:
        breaking = Breaking(torch.inf, everywhere=True)
        return Models(anchors=FakeAnchors(), clip=FakeClip(), inpainter=breaking)

    def run_each(items: Any, make: Any) -> Any:
        return ((item, make(item)) for item in items)

    def track(items: Any, *_: Any, **__: Any) -> Any:
        return items

    monkeypatch.setattr("lr_edit.stages.candidates.INPAINTED", Way(load, INPAINTED.make))
    config = load_config(tiny_root / "params.yaml")
    prepare(tiny_root, config)
    with pytest.warns(Notice, match="2 candidates of dino are no pictures"):
        assert make_candidates(tiny_root, config, name="dino", track=track, execute=run_each) == 2
    banks = read_banks(tiny_root, "dino", tasks=study_tasks(tiny_root))
    assert count_failed(banks) == 2 and all((~np.isnan(bank.score)).any() for bank in banks)


def test_an_editor_goes_on_with_the_others_and_says_how_many_failed() -> None:
    models = Models(
        anchors=FakeAnchors(), clip=FakeClip(), inpainter=Breaking(torch.nan, everywhere=True)
    )
    editor = Editor(load_config(profile="picturebook"), models, root=Path())
    boxes = [Box(0, 0, 32, 32), Box(8, 8, 40, 48), Box(32, 0, 64, 64)]
    with pytest.warns(Notice, match="1 of 3 candidates are no pictures"):
        result = editor(
            np.full((64, 64, 3), 90, np.uint8), source="a boat", prompt="a fish", boxes=boxes
        )
    assert len(result.candidates) == 2 and (np.asarray(result.image) != 0).any()


@pytest.mark.parametrize("rank", ["S", "loss", "released"])
def test_a_failed_candidate_is_never_chosen(rank) -> None:
    some = bank([[1.0] * 3] * 2)
    some.cosines[:], some.losses[:] = np.nan, WORST
    some.cosines[1, 2], some.losses[1, 2] = -0.9, 1.9
    choice = best_of_bank(some, rank=rank)
    assert (choice.point, choice.size) == (1, 2)
    assert count_failed([some, bank([[1.0] * 3] * 2)]) == 5
