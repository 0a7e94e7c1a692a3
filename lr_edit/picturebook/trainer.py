"""One training loop for every small model: seeded per step, resumable, silent.

The caller gives a module and a loss; `fit` yields a record a step and writes a checkpoint now and
then. Every draw of step `i` comes from a generator seeded by (seed, i): a resumed run and an
unbroken one are the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The rate warms up, holds, then falls linearly to 1% (`cooldown`)."""

    steps: int
    batch: int
    rate: float
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    warmup: int = 100
    cooldown: float = 0.4  # share of the steps
    average: float = 0.0  # decay of the exponential average of the weights; 0: none
    clip: float = 1.0
    seed: int = 0
    checkpoint: int = 200  # steps between two checkpoints

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.rate * min(rise, max(0.01, min(1.0, left)))


@dataclass(frozen=True)
class Step:
    """A record of one step: its loss, and seconds since this call began."""

    step: int
    steps: int
    loss: float
    seconds: float


def fit(
    module: nn.Module,
    loss: Callable[[Tensor, torch.Generator], Tensor],
    *,
    size: int,
    recipe: Recipe,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train `module` in place; `loss(indices, generator)` gets `recipe.batch` indices below `size`.

    After the last record the module holds the averaged weights (if the recipe averages). One thread
    computes: sums then have one order, and the same recipe gives the same bytes next to any load.
    """
    torch.set_num_threads(1)
    weights = dict(module.named_parameters())
    optimizer = torch.optim.AdamW(
        weights.values(), lr=recipe.rate, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    average = {name: w.detach().clone() for name, w in weights.items()}
    first = _load(checkpoint, weights, average, optimizer) if checkpoint else 0
    start = time.monotonic()
    for step in range(first, recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        indices = torch.randint(size, (recipe.batch,), generator=generator)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step)
        value = loss(indices, generator)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(weights.values(), recipe.clip)
        optimizer.step()
        decay = min(recipe.average, (1 + step) / (10 + step))
        for name, w in weights.items():
            average[name].lerp_(w.detach(), 1 - decay)
        done = step + 1
        if checkpoint and (done % recipe.checkpoint == 0 or done == recipe.steps):
            _save(checkpoint, weights, average, optimizer, done)
        yield Step(done, recipe.steps, value.item(), time.monotonic() - start)
    for name, w in weights.items():
        w.data.copy_(average[name])


_SLOTS = ("exp_avg", "exp_avg_sq")


def _save(
    path: Path, weights: dict, average: dict, optimizer: torch.optim.AdamW, step: int
) -> None:
    tensors: dict[str, Tensor] = {}
    for name, w in weights.items():
        tensors |= {f"weight/{name}": w.detach(), f"average/{name}": average[name]}
        tensors |= {f"{slot}/{name}": optimizer.state[w][slot] for slot in _SLOTS}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"step": str(step)})
    part.replace(path)


def _load(path: Path, weights: dict, average: dict, optimizer: torch.optim.AdamW) -> int:
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        for name, w in weights.items():
            w.data.copy_(file.get_tensor(f"weight/{name}"))
            average[name].copy_(file.get_tensor(f"average/{name}"))
            slots = {slot: file.get_tensor(f"{slot}/{name}") for slot in _SLOTS}
            optimizer.state[w] = {"step": torch.tensor(float(step)), **slots}
    return step
