"""Editors of whole pictures, of random weights in diffusers' own format: run, counted, refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

from lr_edit.errors import UserError
from lr_edit.frozen.editors import EDITORS, InstructionEditor, load_editor
from lr_edit.frozen.protocols import Inpainter
from lr_edit.types import Sampler
from tests.hub_layout import write_pix2pix, write_sd
from tests.transformer_layout import write_klein, write_kontext, write_qwen_edit

SIDE, STEPS = 64, 2
# How a hub's parts are written, their class, and evaluations of a step with guidance.
CASES: dict[str, tuple[Any, str, int]] = {
    "pix2pix": (write_pix2pix, "StableDiffusionInstructPix2PixPipeline", 3),
    "kontext": (write_kontext, "FluxKontextPipeline", 1),
    "klein": (write_klein, "Flux2KleinPipeline", 1),
    "klein-base": (partial(write_klein, distilled=False), "Flux2KleinPipeline", 2),
    "qwen-edit": (write_qwen_edit, "QwenImageEditPipeline", 2),
    "qwen-edit-plus": (
        partial(write_qwen_edit, kind=QwenImageEditPlusPipeline), "QwenImageEditPlusPipeline", 2
    ),
}  # fmt: skip


@dataclass
class Case:
    """A loaded editor, its guidance, and the samples that its network was given, counted apart."""

    editor: InstructionEditor
    guidance: float
    each: int
    samples: int = 0

    def count(self, _module: Any, args: tuple, options: dict[str, Any]) -> None:
        self.samples += len(args[0] if args else options["hidden_states"])

    def sampler(self, *, steps: int = STEPS, **how: Any) -> Sampler:
        return Sampler(**{"steps": steps, "guidance": self.guidance, "guided": 1.0, **how})

    def edit(self, prompt: str = "turn a boat into a fish", *, seed: int = 3, **how: Any) -> Any:
        picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        masks = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
        return self.editor.inpaint(
            picture, prompt, masks=masks, noise=self.editor.noise(SIDE, seed),
            sampler=self.sampler(**how),
        )  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Case]:
    write, kind, each = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        # They work at a million pixels, whatever is asked: half a minute of a core.
        patch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda *_: (64, 96, 0))
        patch.setattr(pipeline_qwenimage_edit_plus, "calculate_dimensions", lambda *_: (64, 96))
        loaded = load_editor(f"local-dir:{folder}")
        assert isinstance(loaded, Inpainter)
        assert type(loaded._pipeline).__name__ == kind
        made = Case(loaded, 1.0 if request.param == "klein" else 3.0, each)
        loaded._denoiser.register_forward_pre_hook(made.count, with_kwargs=True)
        yield made


def test_every_evaluation_is_counted(case) -> None:
    before, case.samples = case.editor.nfe, 0
    made = case.edit()
    assert made.shape == (1, 3, SIDE, SIDE) and made.min() >= 0 and made.max() <= 1
    assert case.editor.nfe - before == case.samples == STEPS * case.each
    assert case.editor.nfe_per_image(case.sampler()) == STEPS * case.each


def test_without_guidance_a_step_is_one_evaluation(case) -> None:
    before = case.editor.nfe
    case.edit(guided=0.0)
    assert case.editor.nfe - before == STEPS == case.editor.nfe_per_image(case.sampler(guided=0.0))


def test_an_edit_depends_on_its_seed_and_its_instruction_alone(case) -> None:
    made = case.edit()
    assert torch.equal(made, case.edit())
    assert not torch.equal(made, case.edit(seed=4))
    assert not torch.equal(made, case.edit("turn a boat into a house"))


@pytest.mark.parametrize(
    ("how", "named"),
    [({"stop": 1}, "`stop`"), ({"solver": "pndm"}, "`solver: pndm`"),
     ({"steps": 4, "strength": 0.5}, "`strength`")],
)  # fmt: skip
def test_what_an_editor_does_not_do_is_refused(case, how: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=f"samples for itself: leave out {named}"):
        case.edit(**how)


def test_guidance_in_a_share_of_the_steps_is_refused(case) -> None:
    if case.guidance > 1:
        with pytest.raises(UserError, match="leave out `guided` below 1"):
            case.edit(guided=0.5)
    else:
        with pytest.raises(UserError, match="distilled to need none"):
            case.edit(guidance=3.0)


def test_an_editor_has_no_noise_predictions(case) -> None:
    with pytest.raises(UserError, match="leave `diffedit` out"):
        case.editor.predict()


def test_an_inpainter_is_no_editor(tmp_path: Path) -> None:
    write_sd(tmp_path, variant=None)
    with pytest.raises(UserError, match="edits no whole pictures here; those that do: Stable"):
        load_editor(f"local-dir:{tmp_path}")


def test_every_class_has_its_contract_test() -> None:
    assert {kind.name for kind in EDITORS} == {kind for _, kind, _ in CASES.values()}
