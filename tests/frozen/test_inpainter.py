"""The diffusers adapter, on a pipeline of random weights in diffusers' own format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderTiny,
    AutoPipelineForInpainting,
    DPMSolverMultistepScheduler,
)
from torch import Tensor

from lr_edit.errors import UserError
from lr_edit.frozen.inpainter import Inpainter, load_inpainter
from lr_edit.frozen.protocols import Inpainter as InpainterProtocol
from lr_edit.inpaint import box_masks
from lr_edit.types import Sampler

SIDE = 64
BOXES = torch.tensor([[0, 0, 64, 64], [8, 8, 40, 32], [48, 4, 64, 20]])
PROMPT = "a blue fish on sand"
SAMPLER = Sampler(4, 3.0, 0.5)


def load(models: Path) -> Inpainter:
    loaded = load_inpainter(f"local-dir:{models / 'inpainter'}")
    assert isinstance(loaded, Inpainter)
    return loaded


@pytest.fixture(scope="module")
def folder(tiny_models: Path) -> Path:
    return tiny_models


@pytest.fixture(scope="module")
def inpainter(folder: Path) -> Inpainter:
    return load(folder)


def picture() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def fill(
    model: InpainterProtocol, boxes: Tensor = BOXES, *, sampler: Sampler = SAMPLER, seed: int = 5
) -> Tensor:
    masks, noise = box_masks(boxes, side=SIDE), model.noise(SIDE, seed)
    return model.inpaint(picture(), PROMPT, masks=masks, noise=noise, sampler=sampler)


@torch.no_grad()
def by_hand(folder: Path, box: Tensor, sampler: Sampler, *, guided: int, first: int = 0) -> Tensor:
    """The sampler written out for one box: two UNet calls while guided, one after, from the step
    `first` on, until `stop`."""
    pipe = AutoPipelineForInpainting.from_pretrained(folder / "inpainter", dtype=torch.float32)
    scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    scheduler.set_timesteps(sampler.steps)
    tokens = pipe.tokenizer(
        [PROMPT, ""], padding="max_length", max_length=pipe.tokenizer.model_max_length,
        truncation=True, return_tensors="pt",
    )  # fmt: skip
    words = pipe.text_encoder(tokens.input_ids)[0]
    mask, source = box_masks(box[None], side=SIDE).float(), picture() * 2 - 1
    scale = pipe.vae.config.scaling_factor
    seen, whole = (
        scale * pipe.vae.encode(x).latent_dist.mode() for x in (source * (1 - mask), source)
    )
    cells = torch.nn.functional.interpolate(mask, size=seen.shape[-2:])
    x = torch.randn(seen.shape, generator=torch.Generator().manual_seed(5))
    if first:
        x = scheduler.add_noise(whole, x, scheduler.timesteps[first : first + 1])
        scheduler.set_begin_index(first)
    for step, t in enumerate(scheduler.timesteps[first:]):
        entry = torch.cat([x, cells, seen], 1)
        guess = pipe.unet(entry, t, encoder_hidden_states=words[:1]).sample
        if step < guided:
            if step % sampler.refresh == 0:
                blind = pipe.unet(entry, t, encoder_hidden_states=words[1:]).sample
                difference = guess - blind
            guess = guess + (sampler.guidance - 1) * difference
        if step + 1 == sampler.stop:  # x0 by the definition of the velocity that was guessed
            kept = scheduler.alphas_cumprod[t]
            x = kept.sqrt() * x - (1 - kept).sqrt() * guess
            break
        x = scheduler.step(guess, t, x).prev_sample
    return (pipe.vae.decode(x / scale).sample / 2 + 0.5).clamp(0, 1)


def test_it_is_what_the_method_asks_for(inpainter: Inpainter) -> None:
    assert isinstance(inpainter, InpainterProtocol)


def test_a_picture_a_box_in_range_comes_out(inpainter: Inpainter) -> None:
    inpainted = fill(inpainter)
    assert inpainted.shape == (3, 3, SIDE, SIDE) and inpainted.dtype == torch.float32
    assert float(inpainted.min()) >= 0 and float(inpainted.max()) <= 1
    assert not torch.equal(inpainted[0], inpainted[1])


@pytest.mark.parametrize(
    ("sampler", "each"),
    [
        (Sampler(4, 3.0, 0.5), 2 * 2 + 2),
        (Sampler(4, 3.0, 1.0), 4 * 2),
        (Sampler(4, 3.0, 0.0), 4),
        (Sampler(4, 1.0, 0.5), 4),
        (Sampler(3, 2.0, 0.34), 2 + 2),
        (Sampler(1, 2.0, 1.0), 2),
        (Sampler(4, 3.0, 0.5, stop=1), 2),
        (Sampler(4, 3.0, 0.5, stop=2), 2 * 2),
        (Sampler(4, 3.0, 0.5, stop=3), 2 * 2 + 1),
        (Sampler(4, 3.0, 0.5, stop=4), 2 * 2 + 2),
        (Sampler(4, 1.0, 0.5, stop=3), 3),
        (Sampler(4, 3.0, 0.5, strength=0.5), 2 + 1),
        (Sampler(5, 3.0, 1.0, strength=0.9), 4 * 2),
        (Sampler(4, 3.0, 1.0, stop=1, strength=0.5), 2),
        (Sampler(4, 3.0, 1.0, solver="pndm"), 5 * 2),
        (Sampler(4, 3.0, 0.4, solver="pndm"), 2 * 2 + 3),
        (Sampler(4, 3.0, 0.5, refresh=2), 2 + 1 + 2),
        (Sampler(6, 3.0, 0.8, refresh=2), 6 + 3),
        (Sampler(6, 3.0, 1.0, refresh=9), 6 + 1),
        (Sampler(6, 3.0, 1.0, refresh=2, stop=3), 3 + 2),
    ],
)
def test_every_unet_evaluation_is_counted(folder: Path, sampler: Sampler, each: int) -> None:
    inpainter = load(folder)
    assert inpainter.nfe == 0
    fill(inpainter, sampler=sampler)
    assert inpainter.nfe == len(BOXES) * each == len(BOXES) * sampler.nfe
    fill(inpainter, BOXES[:1], sampler=sampler)
    assert inpainter.nfe == (len(BOXES) + 1) * each


@pytest.mark.parametrize(
    ("sampler", "guided", "first"),
    [
        (Sampler(4, 3.0, 0.0), 0, 0),
        (Sampler(4, 3.0, 0.5), 2, 0),
        (Sampler(4, 3.0, 1.0), 4, 0),
        (Sampler(4, 3.0, 0.5, stop=1), 2, 0),
        (Sampler(4, 3.0, 0.5, stop=2), 2, 0),
        (Sampler(4, 3.0, 0.5, stop=3), 2, 0),
        (Sampler(4, 3.0, 0.5, strength=0.5), 1, 2),
        (Sampler(4, 3.0, 0.5, stop=2, strength=0.75), 2, 1),
        (Sampler(6, 3.0, 0.8, refresh=2), 5, 0),
        (Sampler(6, 3.0, 0.5, refresh=9), 3, 0),
        (Sampler(6, 3.0, 1.0, refresh=3, stop=5), 6, 0),
    ],
)
def test_it_samples_as_the_loop_written_by_hand(
    folder: Path, inpainter: Inpainter, sampler: Sampler, guided: int, first: int
) -> None:
    inpainted = fill(inpainter, sampler=sampler)
    for box, image in zip(BOXES, inpainted, strict=True):
        expected = by_hand(folder, box, sampler, guided=guided, first=first)[0]
        torch.testing.assert_close(image, expected, rtol=0, atol=2e-3)


@torch.no_grad()
def test_the_release_s_solver_evaluates_its_second_time_twice(folder: Path) -> None:
    inpainter, times = load(folder), []
    inpainter._pipeline.unet.register_forward_pre_hook(lambda _, args: times.append(int(args[1])))
    first = fill(inpainter, BOXES[:1], sampler=Sampler(50, 1.0, 0.0, solver="pndm"))
    assert len(times) == 51 and times[1] == times[2] and len(set(times)) == 50
    assert not torch.equal(first, fill(inpainter, BOXES[:1]))
    assert torch.equal(
        first, fill(inpainter, BOXES[:1], sampler=Sampler(50, 1.0, 0.0, solver="pndm"))
    )


@torch.no_grad()
def test_predictions_are_the_unet_s_own_answer_to_the_noised_picture(folder: Path) -> None:
    inpainter = load(folder)
    noise = torch.cat([inpainter.noise(SIDE, seed) for seed in (1, 2, 3)])
    found = inpainter.predict(picture(), PROMPT, noise=noise, strength=0.5)
    assert found.shape == noise.shape and inpainter.nfe == 3
    pipe = AutoPipelineForInpainting.from_pretrained(folder / "inpainter", dtype=torch.float32)
    words = pipe.encode_prompt(PROMPT, "cpu", 1, False)[0]
    whole, grey = (
        pipe.vae.config.scaling_factor * pipe.vae.encode(x).latent_dist.mode()
        for x in (picture() * 2 - 1, torch.zeros(1, 3, SIDE, SIDE))
    )
    kept = pipe.scheduler.alphas_cumprod[500]
    for one, answer in zip(noise, found, strict=True):
        noised = kept.sqrt() * whole + (1 - kept).sqrt() * one
        entry = torch.cat([noised, torch.ones(1, 1, *one.shape[1:]), grey], 1)
        expected = pipe.unet(entry, 500, encoder_hidden_states=words).sample[0]
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-4)


def test_no_guided_step_equals_guidance_one(inpainter: Inpainter) -> None:
    unguided = fill(inpainter, sampler=Sampler(4, 3.0, 0.0))
    assert torch.equal(unguided, fill(inpainter, sampler=Sampler(4, 1.0, 0.5)))


def test_guidance_makes_a_difference(inpainter: Inpainter) -> None:
    assert not torch.equal(fill(inpainter, sampler=Sampler(4, 3.0, 0.0)), fill(inpainter))


def test_stopping_at_the_last_step_changes_nothing(inpainter: Inpainter) -> None:
    whole = fill(inpainter, sampler=Sampler(4, 3.0, 0.5, stop=4))
    torch.testing.assert_close(whole, fill(inpainter), rtol=0, atol=1e-5)


def test_one_call_leaves_nothing_behind_for_the_next(inpainter: Inpainter) -> None:
    first, cut = fill(inpainter), Sampler(2, 5.0, 1.0, strength=0.5, tiny_vae=True)
    for other in (Sampler(4, 3.0, 0.5, stop=1), cut, Sampler(4, 5.0, 1.0, refresh=3)):
        fill(inpainter, sampler=other)
        assert torch.equal(first, fill(inpainter))


def test_a_tiny_autoencoder_inpaints_where_one_is_asked_for(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    AutoencoderTiny(
        encoder_block_out_channels=(8,) * 3, decoder_block_out_channels=(8,) * 3,
        num_encoder_blocks=(1,) * 3, num_decoder_blocks=(1,) * 3,
    ).save_pretrained(tmp_path / "tiny")  # fmt: skip
    name = f"local-dir:{folder / 'inpainter'}"
    both = load_inpainter(name, tiny_vae=f"local-dir:{tmp_path / 'tiny'}")
    preview = fill(both, sampler=Sampler(2, 1.0, 0.0, tiny_vae=True))
    own = fill(both, sampler=Sampler(2, 1.0, 0.0))
    assert preview.shape == own.shape and not torch.equal(preview, own)
    assert torch.equal(own, fill(load(folder), sampler=Sampler(2, 1.0, 0.0, tiny_vae=True)))
    with pytest.raises(UserError, match=r"config\.json"):
        load_inpainter(name, tiny_vae=f"local-dir:{tmp_path / 'none'}")


@pytest.mark.parametrize("batch", [1, 2])
def test_results_depend_on_the_batch_by_rounding_alone(inpainter: Inpainter, batch: int) -> None:
    """CPU convolutions sum in an order that follows the batch: the last bits move."""
    in_parts = torch.cat([fill(inpainter, chunk) for chunk in BOXES.split(batch)])
    torch.testing.assert_close(in_parts, fill(inpainter), rtol=0, atol=2e-5)


def test_inpainting_again_inpaints_the_same(inpainter: Inpainter) -> None:
    first = fill(inpainter)
    torch.manual_seed(123)
    assert torch.equal(first, fill(inpainter))  # nothing is drawn from the global generator
    assert not torch.equal(first, fill(inpainter, seed=6))


def test_noise_is_a_function_of_the_seed(inpainter: Inpainter) -> None:
    assert inpainter.noise(SIDE, 3).shape == (1, 4, 16, 16)
    assert torch.equal(inpainter.noise(SIDE, 3), inpainter.noise(SIDE, 3))
    assert not torch.equal(inpainter.noise(SIDE, 3), inpainter.noise(SIDE, 4))


def test_the_frozen_parts_cannot_be_trained(inpainter: Inpainter) -> None:
    pipe = inpainter._pipeline
    for part in (pipe.unet, pipe.vae, pipe.text_encoder):
        assert not part.training
        assert not any(p.requires_grad for p in part.parameters())


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(folder / "inpainter", tmp_path / "inpainter")).parent


def sentence(models: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(models)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    assert all(word in sentence(tmp_path) for word in ("model_index.json", "dvc pull"))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("left", [0, 5000])
def test_missing_and_cut_weights_are_one_sentence(broken: Path, part: str, left: int) -> None:
    for weights in (broken / "inpainter" / part).glob("*.safetensors"):
        kept = weights.read_bytes()[:left]
        weights.write_bytes(kept) if kept else weights.unlink()
    assert all(word in sentence(broken) for word in ("inpainter", "dvc pull"))


@pytest.mark.parametrize("text", ["{", json.dumps({"_class_name": "NoSuchPipeline"})])
def test_a_broken_index_is_one_sentence(broken: Path, text: str) -> None:
    (broken / "inpainter/model_index.json").write_text(text)
    assert "inpainter" in sentence(broken)


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`:UserWarning")
def test_a_hub_model_that_is_not_cached_is_one_sentence() -> None:
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_inpainter("nobody/no-such-inpainter")
    assert "\n" not in str(caught.value)
