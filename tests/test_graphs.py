"""Recorded steps, by a recorder that needs no GPU: what is copied, kept and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.graphs import Graphs
from lr_edit.frozen.inpainter import Inpainter, load_inpainter
from lr_edit.types import Sampler

CPU = torch.device("cpu")


class Recorder:
    """Repeats a call as a CUDA graph does: into the memory of its first answer."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, call: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        self.recorded += 1
        answer = call()

        def replay() -> None:
            for kept, new in zip(answer, call(), strict=True):
                kept.copy_(new)

        return replay, answer


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def twice(x: Tensor, time: Tensor | int, *, more: dict[str, Tensor] | None = None) -> tuple[Tensor]:
    return (2 * x + time + (more["words"] if more else 0),)


def test_an_answer_outlives_the_next_call_and_follows_its_inputs(recorder: Recorder) -> None:
    graphs = Graphs(twice, device=CPU, record=recorder)
    time = torch.tensor(1)
    (first,) = graphs(torch.ones(2), time)
    (second,) = graphs(torch.full((2,), 5.0), torch.tensor(3))
    assert first.tolist() == [3, 3] and second.tolist() == [13, 13]
    assert recorder.recorded == 1


def test_every_shape_type_and_kind_of_call_is_recorded_once(recorder: Recorder) -> None:
    graphs = Graphs(twice, device=CPU, record=recorder)
    time, words = torch.tensor(1), {"words": torch.ones(1)}
    for _ in range(2):
        for x, more in ((torch.ones(1), None), (torch.ones(2), None), (torch.ones(2), words),
                        (torch.ones(2).double(), None)):  # fmt: skip
            (answer,) = graphs(x, time, more=more)
            assert torch.equal(answer, twice(x, time, more=more)[0])
    assert recorder.recorded == 4


def test_a_bare_number_is_no_part_of_a_recording(recorder: Recorder) -> None:
    graphs = Graphs(twice, device=CPU, record=recorder)
    assert [graphs(torch.ones(1), time)[0].item() for time in (1, 2)] == [3, 4]
    assert not recorder.recorded


def test_a_recorded_inpainter_counts_and_inpaints_the_same(
    tiny_models: Path, recorder: Recorder
) -> None:
    inpainter = load_inpainter(f"local-dir:{tiny_models / 'inpainter'}")
    assert isinstance(inpainter, Inpainter)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    masks = torch.ones(3, 1, 64, 64, dtype=torch.bool)

    def run(sampler: Sampler) -> tuple[int, Tensor]:
        before = inpainter.nfe
        made = inpainter.inpaint(
            image, "a red boat", masks=masks, noise=inpainter.noise(64, 0), sampler=sampler
        )
        return inpainter.nfe - before, made

    samplers = [Sampler(3, 2.0, 1.0), Sampler(3, 2.0, 0.4)]  # with guidance, and without at the end
    plain = [run(one) for one in samplers]
    unet = inpainter._pipeline.unet
    unet.forward = Graphs(unet.forward, device=CPU, record=recorder)
    for sampler, (nfe, made) in zip(samplers, plain, strict=True):
        again = run(sampler)
        assert again[0] == nfe and torch.equal(again[1], made)
    assert recorder.recorded == 2  # six pictures at once, and three
