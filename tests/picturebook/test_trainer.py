"""The loop that trains every small model: resumable without a trace, and on schedule."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lr_edit.picturebook.trainer import Recipe, fit, load_average

RECIPE = Recipe(steps=24, batch=5, rate=0.05, warmup=4, average=0.9, seed=3, checkpoint=6)
DATA = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


def fresh() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def loss_of(module: nn.Module):
    def loss(indices: Tensor, generator: torch.Generator) -> Tensor:
        x = DATA[indices]
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        return (module(x + noise) - x[:, :2]).square().mean()

    return loss


def train(module: nn.Module, checkpoint: Path | None = None, recipe: Recipe = RECIPE, stop=None):
    records = fit(module, loss_of(module), size=len(DATA), recipe=recipe, checkpoint=checkpoint)
    return list(islice(records, stop))


def state(module: nn.Module) -> list[Tensor]:
    return [w.detach().clone() for w in module.parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("killed_after", [6, 9, 23])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(tmp_path: Path, killed_after: int) -> None:
    unbroken = fresh()
    whole = train(unbroken)
    path = tmp_path / "model.ckpt.safetensors"
    train(fresh(), path, stop=killed_after)
    torch.manual_seed(99)
    resumed = nn.Linear(3, 2)  # another start: nothing of it may survive
    rest = train(resumed, path)
    assert rest[0].step == killed_after // RECIPE.checkpoint * RECIPE.checkpoint + 1
    assert equal(state(unbroken), state(resumed))
    assert [r.loss for r in rest] == [r.loss for r in whole[-len(rest) :]]


def network() -> nn.Module:
    """Convolutions in both memory orders, a table and a bias: what Muon takes and leaves."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(4, 32, 3, padding=1), nn.Conv2d(32, 40, 3, padding=1)
    return nn.Sequential(first, second.to(memory_format=torch.channels_last))


def fit_pictures(module: nn.Module, recipe: Recipe, path: Path | None, stop: int | None) -> None:
    pictures = torch.randn(16, 4, 6, 6, generator=torch.Generator().manual_seed(0))

    def loss(indices: Tensor, _: torch.Generator) -> Tensor:
        return (module(pictures[indices]) - 1).square().mean()

    list(islice(fit(module, loss, size=16, recipe=recipe, checkpoint=path), stop))


def test_muon_resumes_bit_for_bit_and_learns(tmp_path: Path) -> None:
    recipe = replace(RECIPE, muon=True, rate=0.01)
    unbroken, resumed, start = network(), network(), state(network())
    fit_pictures(unbroken, recipe, None, None)
    path = tmp_path / "m.ckpt.safetensors"
    fit_pictures(network(), recipe, path, 13)
    fit_pictures(resumed, recipe, path, None)
    assert equal(state(unbroken), state(resumed))
    assert not any(torch.equal(a, b) for a, b in zip(start, state(unbroken), strict=True))


def test_muon_orthogonalises_matrices_and_leaves_the_rest_to_adamw() -> None:
    """After one step, matrices have moved along an orthogonal matrix, scaled as AdamW would."""
    recipe = Recipe(steps=1, batch=16, rate=0.01, warmup=1, weight_decay=0.0, muon=True)
    module = network()
    before = [w.detach().clone() for w in module.parameters()]
    fit_pictures(module, recipe, None, None)
    moved = [(a - b).flatten(1) if a.ndim > 1 else a - b
             for a, b in zip(before, state(module), strict=True)]  # fmt: skip
    for matrix in (moved[0], moved[2]):
        sizes = torch.linalg.svdvals(matrix) / (0.01 * 0.2 * max(matrix.shape) ** 0.5)
        assert 0.5 < sizes[0] < 1.5 and sizes[0] < 4 * sizes[len(sizes) // 2]
    for bias in (moved[1], moved[3]):
        assert bias.abs().max() == pytest.approx(0.01, rel=1e-2)


def test_kept_checkpoints_stay(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt.safetensors"
    train(fresh(), path, recipe=replace(RECIPE, keep=12))
    kept = sorted(one.name for one in tmp_path.glob("model.at*"))
    assert kept == ["model.at12.safetensors", "model.at24.safetensors"]
    module = fresh()
    load_average(module, tmp_path / kept[-1])
    other = fresh()
    train(other)
    assert equal(state(module), state(other))


def test_a_finished_run_trains_no_further(tmp_path: Path) -> None:
    path, module, again = tmp_path / "m.safetensors", fresh(), fresh()
    train(module, path)
    before = path.read_bytes()
    assert train(again, path) == []
    assert equal(state(module), state(again)) and path.read_bytes() == before


def test_training_does_not_depend_on_the_global_generator() -> None:
    first, second = fresh(), fresh()
    torch.manual_seed(1)
    train(first)
    torch.manual_seed(2)
    train(second)
    assert equal(state(first), state(second))


def test_it_ends_with_the_averaged_weights() -> None:
    averaged, plain = fresh(), fresh()
    train(averaged)
    train(plain, recipe=replace(RECIPE, average=0.0))
    assert not equal(state(averaged), state(plain))


def test_without_an_average_it_ends_with_the_last_weights() -> None:
    module, last = fresh(), []
    recipe = replace(RECIPE, average=0.0)
    for record in fit(module, loss_of(module), size=len(DATA), recipe=recipe):
        if record.step == recipe.steps:
            last = state(module)
    assert equal(last, state(module))


def test_the_loss_falls_and_records_count_the_steps() -> None:
    records = train(fresh(), recipe=replace(RECIPE, steps=200))
    assert [r.step for r in records] == list(range(1, 201))
    assert {r.steps for r in records} == {200}
    first, last = (sum(r.loss for r in part) for part in (records[:20], records[-20:]))
    assert last < 0.5 * first


def test_another_seed_is_another_run() -> None:
    first, second = fresh(), fresh()
    train(first)
    train(second, recipe=replace(RECIPE, seed=4))
    assert not equal(state(first), state(second))


def test_the_rate_warms_up_holds_and_falls_to_a_hundredth() -> None:
    recipe = Recipe(steps=1000, batch=1, rate=2.0, warmup=100, cooldown=0.4)
    rates = [recipe.rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02) and rates[49] == pytest.approx(1.0)
    assert all(rate == pytest.approx(2.0) for rate in rates[99:600])
    assert rates[800] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.02) and min(rates[600:]) >= 0.02 - 1e-12
    assert rates[600:] == sorted(rates[600:], reverse=True)


def test_a_step_uses_its_scheduled_rate() -> None:
    seen: list[float] = []

    class Slope(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

    module, recipe = Slope(), Recipe(steps=30, batch=1, rate=0.1, warmup=10, weight_decay=0.0)
    previous = 0.0
    for _ in fit(module, lambda i, g: module.w * 1.0, size=1, recipe=recipe):
        seen.append(previous - float(module.w.detach()))
        previous = float(module.w.detach())
    # The slope is constant, so Adam moves by the rate itself.
    assert seen == pytest.approx([recipe.rate_at(step) for step in range(30)], rel=1e-3)
