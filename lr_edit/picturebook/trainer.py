"""One training loop for every small model: seeded per step, resumable, silent.

The caller gives a module and a loss; `fit` yields a record per step and writes a checkpoint now and
then. Every draw of step `i` comes from a generator seeded by (seed, i): a resumed run and an
unbroken one are the same run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW, Muon


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
    muon: bool = False  # matrices and convolutions by Muon, the rest by AdamW
    seed: int = 0
    checkpoint: int = 200  # steps between two checkpoints
    keep: int = 0  # steps between two checkpoints that stay, for a learning curve; 0: none

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.rate * min(rise, max(0.01, min(1.0, left)))


@dataclass(frozen=True)
class TrainingStep:
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
    device: str = "cpu",
) -> Iterator[TrainingStep]:
    """Train `module` in place; `loss(indices, generator)` gets `recipe.batch` indices below `size`.

    After the last record the module holds the averaged weights (if the recipe averages). One thread
    computes: sums then have one order, and the same recipe gives the same bytes next to any load.
    On a GPU the draws are the same and the sums are not; the module comes back to the CPU.
    """
    torch.set_num_threads(1)
    module.to(device)
    weights = trained(module)
    optimizers = _optimizers(module, recipe)
    average = {name: w.detach().clone() for name, w in weights.items()}
    first = _load(checkpoint, weights, average, optimizers) if checkpoint else 0
    start = time.monotonic()
    for step in range(first, recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        indices = torch.randint(size, (recipe.batch,), generator=generator)
        value = loss(indices, generator)
        module.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(weights.values(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step(recipe.rate_at(step))
        decay = min(recipe.average, (1 + step) / (10 + step))
        for name, w in weights.items():
            average[name].lerp_(w.detach(), 1 - decay)
        done = step + 1
        if checkpoint and (done % recipe.checkpoint == 0 or done == recipe.steps):
            _save(checkpoint, weights, average, optimizers, done)
            if recipe.keep and done % recipe.keep == 0:
                stem = checkpoint.name.split(".")[0]
                shutil.copyfile(checkpoint, checkpoint.with_name(f"{stem}.at{done}.safetensors"))
        yield TrainingStep(done, recipe.steps, value.item(), time.monotonic() - start)
    for name, w in weights.items():
        w.data.copy_(average[name])
    module.to("cpu")


def home(module: nn.Module) -> torch.device:
    """Where a module's weights are: losses draw on the CPU and move what they drew there."""
    return next(module.parameters()).device


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name: a library's class may hold some that a loss never
    reaches."""
    return {name: w for name, w in module.named_parameters() if w.requires_grad}


def load_average(module: nn.Module, checkpoint: Path) -> None:
    """The averaged weights of a checkpoint into a module."""
    with safe_open(checkpoint, "pt") as file:
        for name, w in trained(module).items():
            w.data.copy_(file.get_tensor(f"average/{name}"))


class _Optimizer:
    """One of torch's optimizers over named weights, its slots told by name."""

    def __init__(
        self, weights: dict[str, nn.Parameter], kind: type, slots: tuple[str, ...], **how: Any
    ) -> None:
        self.weights, self.slots = weights, slots
        # Muon knows matrices alone: a convolution is one, its kernels side by side.
        self.views = weights
        if kind is Muon:
            self.views = {n: nn.Parameter(_matrix(w.data, like=w)) for n, w in weights.items()}
        self.inner: torch.optim.Optimizer = kind(self.views.values(), **how)

    def step(self, rate: float) -> None:
        for group in self.inner.param_groups:
            group["lr"] = rate
        for name, view in self.views.items():
            grad = self.weights[name].grad
            if view is not self.weights[name] and grad is not None:
                view.grad = _matrix(grad, like=self.weights[name])
        self.inner.step()

    def state(self) -> dict[str, Tensor]:
        return {
            f"{slot}/{name}": self.inner.state[view][slot]
            for name, view in self.views.items()
            for slot in self.slots
        }

    def restore(self, read: Callable[[str], Tensor], step: int) -> None:
        for name, view in self.views.items():
            self.inner.state[view] = {"step": torch.tensor(float(step))} | {
                slot: read(f"{slot}/{name}").to(view.device) for slot in self.slots
            }


def _matrix(w: Tensor, *, like: Tensor) -> Tensor:
    """A weight, or its gradient, as (out, everything else) in the weight's own memory order, so
    that the weight's matrix shares its storage."""
    return (w if like.is_contiguous() else w.permute(0, 2, 3, 1)).flatten(1)


def _optimizers(module: nn.Module, recipe: Recipe) -> list[_Optimizer]:
    weights = trained(module)
    tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    matrices = {
        name: w
        for name, w in weights.items()
        if recipe.muon and w.ndim > 1 and id(w) not in tables and min(len(w), w[0].numel()) >= 32
    }
    rest = {name: w for name, w in weights.items() if name not in matrices}
    how = {"lr": recipe.rate, "weight_decay": recipe.weight_decay}
    found = [_Optimizer(rest, AdamW, ("exp_avg", "exp_avg_sq"), betas=recipe.betas, **how)]
    if matrices:  # Jordan 2024, at AdamW's rates as Liu et al. 2025 scale it
        found.append(
            _Optimizer(matrices, Muon, ("momentum_buffer",), adjust_lr_fn="match_rms_adamw", **how)
        )
    return found


def _save(
    path: Path, weights: dict, average: dict, optimizers: list[_Optimizer], step: int
) -> None:
    tensors: dict[str, Tensor] = {}
    for name, w in weights.items():
        tensors |= {f"weight/{name}": w.detach(), f"average/{name}": average[name]}
    for optimizer in optimizers:
        tensors |= optimizer.state()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"step": str(step)})
    part.replace(path)


def _load(path: Path, weights: dict, average: dict, optimizers: list[_Optimizer]) -> int:
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        for name, w in weights.items():
            w.data.copy_(file.get_tensor(f"weight/{name}"))
            average[name].copy_(file.get_tensor(f"average/{name}"))
        for optimizer in optimizers:
            optimizer.restore(file.get_tensor, step)
    return step
