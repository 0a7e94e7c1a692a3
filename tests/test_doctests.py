"""The examples of the docstrings run, and the arguments of what a user calls are explained."""

from __future__ import annotations

import doctest
import inspect
import re
from importlib import import_module

import pytest

from tests.source_tree import modules

WITH_EXAMPLES = sorted(name for name, one in modules().items() if "    >>> " in one.text)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_do_what_they_say(name: str) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed


# What a user calls, beside the metrics of eval: every field or argument is explained.
CALLED = {
    "lr_edit.boxes": ["anchor_points", "threshold_box", "square_boxes", "random_boxes",
                      "cells_to_pixels"],
    "lr_edit.losses": ["clip_loss", "directional_loss", "structure_loss"],
    "lr_edit.choose": ["pick_sizes", "choose"],
    "lr_edit.successive_halving": ["plan_rounds", "run_race", "pick_entrants"],
    "lr_edit.anchor_net": ["roi_features"],
    "lr_edit.learn": ["learn"],
    "lr_edit.learn_amortised": ["learn_amortised"],
    "lr_edit.saliency": ["text_relevance"],
    "lr_edit.inpaint": ["paste_back", "inpaint_candidates"],
    "lr_edit.score": ["score_candidates"],
    "lr_edit.propose": ["propose"],
    "lr_edit.config": ["load_config"],
    "lr_edit.types": ["Box", "EditTask", "Sampler"],
    "lr_edit.frozen.clip": ["load_clip"],
    "lr_edit.frozen.dino": ["load_dino"],
    "lr_edit.frozen.inpainter": ["load_inpainter"],
    "lr_edit.workspace.storage": ["read_banks"],
    "lr_edit.editor": ["Editor"],
    "lr_edit.request": ["read_picture"],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLED)
def test_every_argument_of_what_a_user_calls_is_explained(name: str) -> None:
    for one in CALLED[name]:
        function = getattr(import_module(name), one)
        text = inspect.getdoc(function) or ""
        explained = set(re.findall(r"^    (\w+): ", text.partition("Args:\n")[2], re.MULTILINE))
        missing = set(inspect.signature(function).parameters) - explained
        assert not missing, f"{name}.{one} does not explain {sorted(missing)}"
