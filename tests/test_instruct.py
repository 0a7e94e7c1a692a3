"""Editors that need no region: instructions, the whole picture, and a bank as every other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lr_edit.config import load_config
from lr_edit.frozen.models import Models
from lr_edit.instruct import instructed_bank, write_instruction
from lr_edit.proposal_set import ProposalSet
from lr_edit.types import EditTask
from tests.fakes import FakeAnchors, FakeClip, FakeInpainter, drawn

SIDE = 64
TASK = EditTask("a", Path("a.png"), "a red boat", "a blue fish on sand")


def make(editor: FakeInpainter, draws: int):
    how = ProposalSet.model_validate(
        {"anchors": "whole", "boxes": "whole", "draws": draws, "propose": {},
         "inpaint": {"steps": 2, "guidance": 1.0}}
    )  # fmt: skip
    models = Models(FakeAnchors(), FakeClip(), editor)
    source = (drawn(1, 3, SIDE, SIDE).sigmoid() * 255).to(torch.uint8)
    bank, images = instructed_bank(models, TASK, source=source, config=load_config(), how=how)
    return bank, images, source


def test_the_editor_is_told_what_is_there_and_what_should_be() -> None:
    editor = FakeInpainter()
    make(editor, 1)
    assert editor.prompts == [write_instruction(TASK.source, TASK.prompt)]
    assert editor.prompts == ["turn a red boat into a blue fish on sand"]


@pytest.mark.parametrize("draws", [1, 3])
def test_the_whole_picture_changes_once_from_each_noise(draws: int) -> None:
    editor = FakeInpainter()
    bank, images, source = make(editor, draws)
    assert bank.boxes.tolist() == [[[0, 0, SIDE, SIDE]]] * draws
    assert images.shape == (draws, 1, 3, SIDE, SIDE)
    assert bank.nfe == editor.nfe == 2 * draws
    assert (images != source).flatten(2).float().mean() > 0.9  # and no seam at the frame
    assert len({one.numpy().tobytes() for one in images[:, 0]}) == draws
    assert (bank.anchors == -1).all() and bank.ground is None


def test_the_edit_is_scored_by_the_prompt_not_by_the_instruction() -> None:
    bank, images, source = make(FakeInpainter(), 1)
    clip = FakeClip()
    pictures = torch.stack([images[0, 0], source]).float() / 255
    edited, before = clip.embed_images(pictures)
    prompt = clip.embed_texts([TASK.prompt])[0]
    expected = [float(edited @ prompt), float(edited @ before)]
    assert bank.cosines[0, 0].tolist() == pytest.approx(expected, abs=1e-5)
