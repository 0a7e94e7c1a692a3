"""train@variant: banks -> one AnchorNet per image, its curve and its probabilities.

Reads tables, inpaints nothing. A variant whose sizes no net chooses leaves a summary that says
so. Nets are trained on the GPU, TOGETHER at once, or spread over the cores, one thread each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lr_edit.config import Config
from lr_edit.execution.environment import choose_device
from lr_edit.execution.local import Execute, choose_executor, make_all
from lr_edit.types import Bank, Track
from lr_edit.variant import Variant
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.storage import (
    atomic_write,
    read_banks,
    study_tasks,
    write_json,
    write_tensors,
)

if TYPE_CHECKING:  # torch is for variants that have a net: the others start in no time
    from lr_edit.learn import Learned, LearningStep

TOGETHER = 64  # tasks; each one's features take 11 MB at 768 channels and 54 boxes
MANY_STEPS = 50  # with fewer, nets are trained before another process has started


def run(
    root: Path, config: Config, *, name: str, track: Track, execute: Execute | None = None
) -> None:
    """Train, or draw untrained starts, for every task and seed."""
    with new_folder(root / "artifacts/nets" / name) as out:
        _fill(root, config, name, out=out, track=track, execute=execute)


def _fill(
    root: Path, config: Config, name: str, *, out: Path, track: Track, execute: Execute | None
) -> None:
    variant = config.variant(name)
    if variant.choose != "net":
        write_json(out / "summary.json", {"learner": None})
        return
    tasks = [task.id for task in study_tasks(root)]
    banks = read_banks(root, variant.proposals, tasks=study_tasks(root))
    trainer = NetTrainer(variant, side=config.models.side, seed=config.study.seed)
    nets = train_nets(tasks, banks, trainer=trainer, track=track, execute=execute)
    for task, net in nets.items():
        write_tensors(out / f"{task}.safetensors", net.state)
    with atomic_write(out / "curves.jsonl") as part, part.open("w", encoding="utf-8") as curves:
        for task, net in nets.items():
            for step in net.curve:
                curves.write(json.dumps({"task": task, **asdict(step)}) + "\n")
    probabilities = {task: net.probabilities for task, net in nets.items()}
    write_tensors(out / "probabilities.safetensors", probabilities)
    summary = {task: net.summary for task, net in nets.items()}
    write_json(out / "summary.json", {"learner": variant.learner, "tasks": summary})


@dataclass(frozen=True)
class TaskNets:
    """The nets of one task: of the first seed all, of the others what they say.

    state          the first seed's parameters
    curve          its records
    summary        its expected losses, and the candidates whose losses it read
    probabilities  (seeds, points, sizes): pi of every seed
    """

    state: dict[str, np.ndarray]
    curve: tuple[LearningStep, ...]
    summary: dict[str, Any]
    probabilities: np.ndarray


@dataclass(frozen=True)
class NetTrainer:
    """Trains the nets of some tasks, in whichever process it is called."""

    variant: Variant
    side: int
    seed: int
    device: str = "cpu"

    def __call__(self, part: Sequence[tuple[str, Bank]]) -> dict[str, TaskNets]:
        """Task -> its nets."""
        from lr_edit.method import learn_sizes

        names, banks = zip(*part, strict=True)
        seeds = [
            list(
                learn_sizes(
                    names, banks, variant=self.variant,
                    side=self.side, seed=self.seed + seed, device=self.device,
                )
            )
            for seed in range(self.variant.seeds)
        ]  # fmt: skip
        return {
            name: _task_nets(nets, bank, self.variant)
            for name, bank, nets in zip(names, banks, zip(*seeds, strict=True), strict=True)
        }


def train_nets(
    tasks: Sequence[str],
    banks: Sequence[Bank],
    *,
    trainer: NetTrainer,
    track: Track,
    execute: Execute | None = None,
) -> dict[str, TaskNets]:
    """Task -> its nets, in the order of `tasks`: on any number of processes the same bytes."""
    trainer = replace(trainer, device=choose_device())
    together = TOGETHER if trainer.device == "cuda" else 1
    named = list(zip(tasks, banks, strict=True))
    parts = [named[at : at + together] for at in range(0, len(named), together)]
    steps = 0 if trainer.variant.learner == "none" else trainer.variant.steps
    execute = execute or choose_executor(len(parts) * (steps >= MANY_STEPS), small=True)
    label = f"train {trainer.variant.learner}"
    found: dict[str, TaskNets] = {}
    for nets in track(make_all(parts, trainer, execute=execute), label, total=len(parts)):
        found |= nets
    return {task: found[task] for task in tasks}


def _task_nets(nets: Sequence[Learned], bank: Bank, variant: Variant) -> TaskNets:
    first = nets[0]
    return TaskNets(
        state={name: value.numpy() for name, value in first.state.items()},
        curve=first.curve,
        summary=_summary(first, bank, variant),
        probabilities=np.stack([net.probabilities.numpy() for net in nets]),
    )


def _summary(net: Learned, bank: Bank, variant: Variant) -> dict[str, Any]:
    """Expected loss under pi at the start, at the end, and the least any pi can have."""
    import torch

    from lr_edit.learn import row_z_scores

    table = torch.from_numpy(bank.loss(variant.losses)).float()
    first, last = net.curve[0], net.curve[-1]
    return {
        "start": first.expected_loss,
        "end": last.expected_loss,
        "floor": float(table.amin(-1).mean()),
        "start_z": first.expected_z,
        "end_z": last.expected_z,
        "floor_z": float(row_z_scores(table).amin(-1).mean()),
        # A net that was not trained still needs one candidate per anchor to rank.
        "candidates_used": net.candidates_used or len(table),
    }
