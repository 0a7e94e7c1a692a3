"""Pipelines with a transformer, of random weights in diffusers' own format: run whole, counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler, IFInpaintingPipeline, UNet2DConditionModel
from torch import Tensor

from lr_edit.budgeted_editor import edit_within_budget
from lr_edit.config import Race, as_config
from lr_edit.errors import UserError
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.frozen.models import Models
from lr_edit.frozen.protocols import Inpainter
from lr_edit.frozen.whole_pipeline import WholePipeline
from lr_edit.inpaint import inpaint_candidates
from lr_edit.types import EditTask, Sampler
from tests.fakes import FakeAnchors, FakeClip, drawn
from tests.tiny import tiny_params
from tests.transformer_layout import write_flux, write_sd3

SIDE, STEPS = 64, 2
BOXES = torch.tensor([[[0, 0, 64, 64], [8, 8, 40, 32]], [[48, 4, 64, 20], [8, 8, 40, 32]]])
# Evaluations a step: SD 3 is guided without a classifier, Flux is told its guidance.
WRITERS = {"sd3": (write_sd3, 2), "flux": (write_flux, 1)}


@pytest.fixture(scope="module", params=WRITERS)
def inpainter(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Inpainter:
    folder: Path = tmp_path_factory.mktemp(request.param)
    write, each = WRITERS[request.param]
    write(folder)
    loaded = load_inpainter(f"local-dir:{folder}")
    assert isinstance(loaded, WholePipeline) and isinstance(loaded, Inpainter)
    loaded.each = each  # type: ignore[attr-defined]
    return loaded


def inpaint(inpainter: Inpainter, *, batch: int = 8, seed: int = 3, steps: int = STEPS) -> Tensor:
    source = torch.randint(256, (3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    images, _ = inpaint_candidates(
        inpainter, source.to(torch.uint8), prompt="a fish", boxes=BOXES, seed=seed, feather=2,
        batch=batch, sampler=Sampler(steps, 3.0, 1.0),
    )  # fmt: skip
    return images


def test_every_evaluation_is_counted_and_equal_boxes_are_inpainted_once(inpainter) -> None:
    before = inpainter.nfe
    images = inpaint(inpainter)
    each = inpainter.nfe_per_image(Sampler(STEPS, 3.0, 1.0))
    assert inpainter.nfe - before == 3 * each == 3 * STEPS * inpainter.each
    assert torch.equal(images[0, 1], images[1, 1]) and not torch.equal(images[0, 0], images[0, 1])


def test_a_candidate_depends_on_its_seed_not_on_its_batch(inpainter) -> None:
    together = inpaint(inpainter)
    alone, other = inpaint(inpainter, batch=1), inpaint(inpainter, seed=4)
    assert (together.int() - alone.int()).abs().max() <= 1  # sums of another shape round anew
    assert not torch.equal(together, other)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"stop": 1}, "`stop`"),
        ({"solver": "pndm"}, "`solver: pndm`"),
        ({"guided": 0.5}, "`guided` below 1"),
        ({"refresh": 2}, "`refresh`"),
    ],
)
def test_what_needs_a_unet_is_refused_in_a_sentence(inpainter, how, words) -> None:
    mask = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    sampler = Sampler(**{"steps": 4, "guidance": 3.0, "guided": 1.0, **how})
    with pytest.raises(UserError, match=f"InpaintPipeline samples for itself: leave out {words}"):
        inpainter.inpaint(
            torch.rand(1, 3, SIDE, SIDE), "a fish", masks=mask, noise=inpainter.noise(SIDE, 0),
            sampler=sampler,
        )  # fmt: skip
    with pytest.raises(UserError, match="leave `diffedit` out"):
        inpainter.predict(
            torch.rand(1, 3, SIDE, SIDE), "a fish", noise=inpainter.noise(SIDE, 0), strength=0.5
        )


def test_it_races_and_costs_no_more_than_was_planned(inpainter) -> None:
    """A look of one step at every box, three steps of guidance for the best of them."""
    config = as_config(tiny_params(), path=Path("params.yaml"))
    how = config.proposal_set("dino")
    full, preview = (
        how.inpaint.model_copy(update={"steps": steps, "guidance": guidance, "guided": 1.0})
        for steps, guidance in ((3, 3.0), (1, 1.0))
    )
    how = how.model_copy(update={"inpaint": full, "relevance": False})
    rules = Race(previews=(preview,), budget=4 + 6, entrants=None)
    before = inpainter.nfe
    done = edit_within_budget(
        Models(anchors=FakeAnchors(), clip=FakeClip(), inpainter=inpainter),
        EditTask("a", Path("a.png"), source="a red boat", prompt="a blue fish"),
        source=(drawn(0, 3, SIDE, SIDE).sigmoid() * 255).to(torch.uint8),
        config=config, how=how, rules=rules,
    )  # fmt: skip
    # Flux is told its guidance: twice as many.
    assert done.raced.entered == (4, 2 // inpainter.each)
    assert done.raced.nfe == inpainter.nfe - before == 4 + 6


def test_a_tiny_autoencoder_belongs_to_a_unet(tmp_path: Path) -> None:
    write_sd3(tmp_path)
    with pytest.raises(UserError, match="pipelines with a UNet"):
        load_inpainter(f"local-dir:{tmp_path}", tiny_vae="local-dir:nowhere")


def test_a_pipeline_that_cannot_be_steered_is_one_sentence(tmp_path: Path) -> None:
    """DeepFloyd IF inpaints pixels: it has a UNet and no autoencoder."""
    unet = UNet2DConditionModel(
        in_channels=3, out_channels=6, block_out_channels=(8,), layers_per_block=1,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4,
        attention_head_dim=4, cross_attention_dim=8,
    )  # fmt: skip
    IFInpaintingPipeline(
        tokenizer=None, text_encoder=None, unet=unet, scheduler=DDPMScheduler(),
        safety_checker=None, feature_extractor=None, watermarker=None,
        requires_safety_checker=False,
    ).save_pretrained(tmp_path)  # fmt: skip
    with pytest.raises(UserError) as caught:
        load_inpainter(f"local-dir:{tmp_path}")
    said = str(caught.value)
    assert "IFInpaintingPipeline cannot be steered box by box" in said
    assert "name an inpainting pipeline" in said and "\n" not in said
