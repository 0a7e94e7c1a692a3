"""Offloading, quantisation, compilation, as far as a CPU goes: what it cannot is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lr_edit.config import load_config
from lr_edit.errors import UserError
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.frozen.memory import SPARE, choose_offload, compile_blocks
from lr_edit.profiles import Memory
from lr_edit.stages.candidates import CandidateMaker
from lr_edit.types import Sampler
from lr_edit.workspace.tasks import find_tasks
from tests.hub_layout import write_sd
from tests.transformer_layout import write_flux, write_sd3

SIDE, GB = 64, 2**30


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("flux")
    write_flux(folder)
    return f"local-dir:{folder}"


def inpaint(inpainter: Any, *, count: int = 2) -> torch.Tensor:
    masks = torch.ones(count, 1, SIDE, SIDE, dtype=torch.bool)
    made: torch.Tensor = inpainter.inpaint(
        torch.full((1, 3, SIDE, SIDE), 0.5), "a fish", masks=masks,
        noise=inpainter.noise(SIDE, 0), sampler=Sampler(2, 3.0, 1.0),
    )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"offload": "model"}, "`offload: model` moves parts off a GPU, and this is cpu"),
        ({"offload": "group"}, "`offload: group` moves parts off a GPU, and this is cpu"),
        ({"compile": True}, "`compile` is for a GPU, and this is cpu"),
        ({"quantise": "nf4"}, "`quantise: nf4` needs a GPU, and this is cpu; int8 does not"),
    ],
)
def test_what_a_cpu_cannot_do_is_one_sentence(how, words, flux: str) -> None:
    with pytest.raises(UserError) as caught:
        load_inpainter(flux, memory=Memory(**how))
    assert str(caught.value) == f"memory: {words}"


def test_a_library_that_is_not_here_is_named(flux: str, monkeypatch) -> None:
    monkeypatch.setattr("lr_edit.frozen.memory.find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r"int8` needs torchao: `pip install 'lr-edit\[quantise\]'"):
        load_inpainter(flux, memory=Memory(quantise="int8"))


def test_a_unet_is_not_quantised(tmp_path: Path) -> None:
    write_sd(tmp_path, variant=None)
    with pytest.raises(UserError, match="is for transformers, and a StableDiffusionInpaintP"):
        load_inpainter(f"local-dir:{tmp_path}", memory=Memory(quantise="int8"))


def test_integers_of_eight_bits_make_nearly_the_same_picture(flux: str) -> None:
    pytest.importorskip("torchao")
    plain, small = load_inpainter(flux), load_inpainter(flux, memory=Memory(quantise="int8"))
    found = (inpaint(plain) - inpaint(small)).abs()
    assert 0 < found.max() < 0.2 and small.nfe == plain.nfe


def test_pictures_in_tiles_are_the_same_where_one_tile_holds_them(flux: str) -> None:
    tiled: Any = load_inpainter(flux, memory=Memory(tiling=True))
    assert tiled._pipeline.vae.use_tiling and tiled._pipeline.vae.use_slicing
    assert (inpaint(load_inpainter(flux)) - inpaint(tiled)).abs().max() < 1e-5


def test_what_moves_values_is_in_the_key_of_candidates_and_offloading_is_not(
    tiny_root: Path,
) -> None:
    config, task = load_config(tiny_root / "params.yaml"), find_tasks(tiny_root / "data")[0]

    def key(**memory: Any) -> str:
        profiles = {config.profile: config.models.with_memory(memory)}
        changed = config.model_copy(update={"profiles": profiles})
        maker = CandidateMaker(tiny_root, changed, name="dino")
        return maker.key(task, np.zeros((3, SIDE, SIDE), np.uint8))

    assert key() == key(offload="model") != key(quantise="int8")
    every = Memory(offload="none", tiling=False, quantise="nf4", compile=True)
    assert every.moves == {"tiling": False, "quantise": "nf4", "compile": True}


@pytest.mark.parametrize("offload", ["model", "group"])
def test_what_is_offloaded_paints_and_counts_the_same(offload, flux: str, monkeypatch) -> None:
    """From the CPU to the CPU: the hooks are those of a GPU."""
    monkeypatch.setattr("lr_edit.frozen.inpainter.check_memory", lambda *_args, **_options: None)
    plain, moved = load_inpainter(flux), load_inpainter(flux, memory=Memory(offload=offload))
    assert (inpaint(plain) - inpaint(moved)).abs().max() < 1e-5
    inpaint(moved)
    assert moved.nfe == 2 * plain.nfe


def test_parts_that_do_not_fit_wait_beside_the_gpu() -> None:
    sizes = [24 * GB, 10 * GB]
    assert choose_offload(sizes, free=34 * GB + SPARE) == "none"
    assert choose_offload(sizes, free=34 * GB + SPARE - 1) == "model"
    assert choose_offload(sizes, free=24 * GB + SPARE) == "model"
    assert choose_offload(sizes, free=24 * GB + SPARE - 1) == "group"


@pytest.mark.long
def test_blocks_are_compiled_once_for_batches_of_any_size(tmp_path: Path) -> None:
    """Here without a compiler behind: what is traced, and how often, is the same."""
    write_sd3(tmp_path)
    inpainter: Any = load_inpainter(f"local-dir:{tmp_path}")
    plain = inpaint(inpainter)
    compile_blocks(inpainter._pipeline.transformer, backend="eager")
    before = inpainter.nfe
    assert torch.equal(inpaint(inpainter), plain)
    with torch._dynamo.config.patch(error_on_recompile=True):
        inpaint(inpainter, count=3)
    each = inpainter.nfe_per_image(Sampler(2, 3.0, 1.0))
    assert inpainter.nfe - before == (2 + 3) * each
