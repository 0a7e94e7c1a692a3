"""Pipelines with a transformer, of random weights in diffusers' own format: run whole, counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint
from torch import Tensor

from lr_edit.budgeted_editor import edit_within_budget
from lr_edit.config import Race, as_config
from lr_edit.errors import UserError
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.frozen.models import Models
from lr_edit.frozen.protocols import Inpainter
from lr_edit.frozen.whole_pipeline import WholePipeline
from lr_edit.inpaint import box_masks, inpaint_candidates
from lr_edit.types import EditTask, Sampler
from tests.fakes import FakeAnchors, FakeClip, drawn
from tests.tiny import tiny_params
from tests.transformer_layout import WRITERS

SIDE, STEPS = 64, 2
BOXES = torch.tensor([[[0, 0, 64, 64], [8, 8, 40, 32]], [[48, 4, 64, 20], [8, 8, 40, 32]]])
# What each hub's parts inpaint as, and evaluations a step: 2 with true guidance, which a model
# that is told its guidance, or needs none, saves.
CLASSES = {
    "sd3": ("StableDiffusion3InpaintPipeline", 2),
    "flux": ("FluxInpaintPipeline", 1),
    "fill": ("FluxFillPipeline", 1),
    "kontext": ("FluxKontextInpaintPipeline", 1),
    "klein": ("Flux2KleinInpaintPipeline", 1),
    "klein-base": ("Flux2KleinInpaintPipeline", 2),
    "qwen": ("QwenImageInpaintPipeline", 2),
    "qwen-edit": ("QwenImageEditInpaintPipeline", 2),
    "z-image": ("ZImageInpaintPipeline", 2),
}


@dataclass
class Case:
    """A loaded inpainter, its guidance, and the samples that its transformer was given, counted
    apart from it."""

    name: str
    inpainter: Inpainter
    guidance: float
    each: int
    samples: int = 0

    def count(self, _module: Any, args: tuple, options: dict[str, Any]) -> None:
        self.samples += len(args[0] if args else options["hidden_states"])


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def write(name: str) -> Path:
        folder: Path = tmp_path_factory.mktemp(name)
        WRITERS[name](folder)
        return folder

    return write


@pytest.fixture(scope="module", params=CLASSES)
def case(request: pytest.FixtureRequest, folder_of: Callable[[str], Path]) -> Iterator[Case]:
    kind, each = CLASSES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        # It works at a million pixels, whatever is asked: half a minute of a core.
        patch.setattr(
            pipeline_qwenimage_edit_inpaint, "calculate_dimensions", lambda *_: (64, 96, 0)
        )
        loaded = load_inpainter(f"local-dir:{folder_of(request.param)}")
        assert isinstance(loaded, WholePipeline) and isinstance(loaded, Inpainter)
        assert type(loaded._pipeline).__name__ == kind
        made = Case(request.param, loaded, 1.0 if request.param == "klein" else 3.0, each)
        loaded._pipeline.transformer.register_forward_pre_hook(made.count, with_kwargs=True)
        yield made


def inpaint(case: Case, *, batch: int = 8, seed: int = 3, **how: Any) -> Tensor:
    """Candidates of BOXES in a drawn source, whose pixels outside of them stay, bit by bit."""
    source = torch.randint(256, (3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    source = source.to(torch.uint8)
    images, _ = inpaint_candidates(
        case.inpainter, source, prompt="a fish", boxes=BOXES, seed=seed, feather=2, batch=batch,
        sampler=sampler_of(case, **how),
    )  # fmt: skip
    inside = box_masks(BOXES.flatten(0, 1), side=SIDE).unflatten(0, (2, 2))
    assert torch.equal(images.where(~inside, 0), source.expand_as(images).where(~inside, 0))
    assert (images != source).where(inside, False).flatten(2).any(2).all()
    return images


def sampler_of(case: Case, *, steps: int = STEPS, **how: Any) -> Sampler:
    return Sampler(**{"steps": steps, "guidance": case.guidance, "guided": 1.0, **how})


def test_every_evaluation_is_counted_and_equal_boxes_are_inpainted_once(case) -> None:
    before, case.samples = case.inpainter.nfe, 0
    images = inpaint(case)
    assert case.inpainter.nfe - before == case.samples == 3 * STEPS * case.each
    assert case.inpainter.nfe_per_image(sampler_of(case)) == STEPS * case.each
    assert torch.equal(images[0, 1], images[1, 1]) and not torch.equal(images[0, 0], images[0, 1])


def test_a_candidate_depends_on_its_seed_not_on_its_batch(case) -> None:
    together = inpaint(case)
    alone, other = inpaint(case, batch=1), inpaint(case, seed=4)
    assert (together.int() - alone.int()).abs().max() <= 1  # sums of another shape round anew
    assert not torch.equal(together, other)


@pytest.mark.parametrize("how", [{"steps": 3}, {"steps": 3, "strength": 0.5}, {"guidance": 1.0}])
def test_steps_strength_and_guidance_do_what_was_planned(case, how) -> None:
    if how == {"guidance": case.guidance}:
        return  # distilled to need none
    before = case.inpainter.nfe
    assert not torch.equal(inpaint(case, **how), inpaint(case))
    planned, plain = (
        case.inpainter.nfe_per_image(one) for one in (sampler_of(case, **how), sampler_of(case))
    )
    assert case.inpainter.nfe - before == 3 * (planned + plain)
    taken = {"steps": 3, "strength": 2, "guidance": STEPS}[list(how)[-1]]
    assert planned == taken * (1 if "guidance" in how else case.each)


@pytest.mark.parametrize(("high", "wide"), [(64, 32), (32, 64)])
def test_a_photo_is_inpainted_in_its_own_shape(case, high: int, wide: int) -> None:
    mask = torch.zeros(2, 1, high, wide, dtype=torch.bool)
    mask[0, :, :16], mask[1, :, :, :16] = True, True
    noise = case.inpainter.noise(SIDE, 0)
    rows, cols = noise.shape[2] * high // SIDE, noise.shape[3] * wide // SIDE
    made = case.inpainter.inpaint(
        drawn(0, 1, 3, high, wide).sigmoid(), "a fish", masks=mask,
        noise=noise[..., :rows, :cols], sampler=sampler_of(case),
    )  # fmt: skip
    assert made.shape == (2, 3, high, wide) and made.isfinite().all()
    assert not torch.equal(made[0], made[1])


def test_a_model_that_needs_no_guidance_says_so(folder_of) -> None:
    klein = load_inpainter(f"local-dir:{folder_of('klein')}")
    with pytest.raises(UserError, match="leave out `guidance` above 1, this model"):
        inpaint(Case("klein", klein, 4.0, 1))


def test_sides_are_of_whole_cells(case) -> None:
    mask = torch.ones(1, 1, 68, 68, dtype=torch.bool)
    with pytest.raises(UserError, match=r"sides that are multiples of (8|16), not at 68 x 68"):
        case.inpainter.inpaint(
            torch.rand(1, 3, 68, 68), "a fish", masks=mask, noise=case.inpainter.noise(SIDE, 0),
            sampler=sampler_of(case),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"stop": 1}, "`stop`"),
        ({"solver": "pndm"}, "`solver: pndm`"),
        ({"guided": 0.5}, "`guided` below 1"),
        ({"refresh": 2}, "`refresh`"),
    ],
)
def test_what_needs_a_unet_is_refused_in_a_sentence(case, how, words) -> None:
    mask = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    sampler = Sampler(**{"steps": 4, "guidance": 3.0, "guided": 1.0, **how})
    inpainter = case.inpainter
    with pytest.raises(UserError, match=f"Pipeline samples for itself: leave out {words}"):
        inpainter.inpaint(
            torch.rand(1, 3, SIDE, SIDE), "a fish", masks=mask, noise=inpainter.noise(SIDE, 0),
            sampler=sampler,
        )  # fmt: skip
    with pytest.raises(UserError, match="leave `diffedit` out"):
        inpainter.predict(
            torch.rand(1, 3, SIDE, SIDE), "a fish", noise=inpainter.noise(SIDE, 0), strength=0.5
        )


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_it_races_and_costs_no_more_than_was_planned(name, folder_of) -> None:
    """A look of one step at every box, three steps of guidance for the best of them."""
    inpainter, each = load_inpainter(f"local-dir:{folder_of(name)}"), CLASSES[name][1]
    config = as_config(tiny_params(), path=Path("params.yaml"))
    how = config.proposal_set("dino")
    full, preview = (
        how.inpaint.model_copy(update={"steps": steps, "guidance": guidance, "guided": 1.0})
        for steps, guidance in ((3, 3.0), (1, 1.0))
    )
    how = how.model_copy(update={"inpaint": full, "relevance": False})
    rules = Race(previews=(preview,), budget=4 + 6, entrants=None)
    done = edit_within_budget(
        Models(anchors=FakeAnchors(), clip=FakeClip(), inpainter=inpainter),
        EditTask("a", Path("a.png"), source="a red boat", prompt="a blue fish"),
        source=(drawn(0, 3, SIDE, SIDE).sigmoid() * 255).to(torch.uint8),
        config=config, how=how, rules=rules,
    )  # fmt: skip
    # Flux is told its guidance: twice as many.
    assert done.raced.entered == (4, 2 // each)
    assert done.raced.nfe == inpainter.nfe == 4 + 6


def test_a_tiny_autoencoder_belongs_to_a_unet(folder_of) -> None:
    with pytest.raises(UserError, match="pipelines with a UNet"):
        load_inpainter(f"local-dir:{folder_of('sd3')}", tiny_vae="local-dir:nowhere")


def test_a_profile_may_name_the_class(folder_of) -> None:
    """Flux's base has the parts of Kontext too."""
    name = f"local-dir:{folder_of('flux')}"
    loaded: Any = load_inpainter(name, pipeline="FluxKontextPipeline")
    assert type(loaded._pipeline).__name__ == "FluxKontextInpaintPipeline"
    with pytest.raises(UserError, match="a FluxThing cannot inpaint here; those that can: Stable"):
        load_inpainter(name, pipeline="FluxThing")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("ChromaPipeline", ": diffusers cannot run its inpainting"),
        ("QwenImageEditPlusPipeline", ": it takes no mask"),
        ("IFInpaintingPipeline", "; those that can: StableDiffusionInpaintPipeline, "),
    ],
)
def test_a_class_that_does_not_inpaint_is_one_sentence(given, why, tmp_path: Path) -> None:
    index = {"_class_name": given, "_diffusers_version": "0.42.1"}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError) as caught:
        load_inpainter(f"local-dir:{tmp_path}")
    said = str(caught.value)
    assert f"a {given} cannot inpaint here{why}" in said and "those that can: Stable" in said
    assert "ZImageInpaintPipeline" in said and "dvc" not in said and "\n" not in said
