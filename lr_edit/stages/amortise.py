"""amortise: banks of a study -> dataset-level AnchorNets, for new images.

The nets go into an artifact of this study. Others read what their profile names: bundling it is a
copy. They are trained on the GPU, or spread over the cores, one thread each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lr_edit.amortise import dataset_net, net_file
from lr_edit.anchor_net import bank_rois
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.execution.environment import choose_device
from lr_edit.execution.local import Execute, choose_executor, make_all
from lr_edit.learn_amortised import learn_amortised, training_set
from lr_edit.types import Bank, EditTask, LossWeights, Track
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.storage import (
    content_key,
    read_banks,
    study_tasks,
    write_json,
    write_tensors,
)


def run(root: Path, config: Config, *, track: Track, execute: Execute | None = None) -> None:
    """Fill artifacts/anchor-net, in it a folder with the name of the proposal set.

    Raises UserError if the study has fewer tasks than a net is to be trained on.
    """
    rules, folder, tasks = dataset_net(config), root / "artifacts/anchor-net", study_tasks(root)
    if max(rules.tasks) > len(tasks):
        raise UserError(
            f"dataset_net.tasks asks for {max(rules.tasks)} tasks and the split "
            f"{config.study.split!r} has {len(tasks)}: ask for less, or add tasks"
        )
    banks = read_banks(root, rules.proposals, tasks=tasks)
    trainer = AmortisedTrainer(config, banks, device=choose_device())
    plan = [
        (text, count, seed)
        for text in (False, True)
        for count in rules.tasks
        for seed in range(rules.seeds)
    ]
    execute = execute or choose_executor(len(plan), small=True)
    with new_folder(folder) as nets:
        out = nets / rules.proposals
        out.mkdir()
        made = make_all(plan, trainer, execute=execute)
        for name, state in track(made, "train dataset-level nets", total=len(plan)):
            write_tensors(out / name, state)
        write_json(out / "card.json", _card(config, tasks, banks))


class AmortisedTrainer:
    """Trains one dataset-level net, in whichever process it is called."""

    def __init__(self, config: Config, banks: Sequence[Bank], *, device: str = "cpu") -> None:
        self._config, self._banks, self._device = config, banks, device
        self._rois: dict[bool, torch.Tensor] = {}  # the latest, with text or without

    def __call__(self, item: tuple[bool, int, int]) -> tuple[str, dict[str, np.ndarray]]:
        """The name of the net's file, and its parameters."""
        text, count, seed = item
        own = training_set(len(self._banks), count, seed=self._config.study.seed)
        rules = dataset_net(self._config)
        tables = torch.from_numpy(np.stack([bank.loss(LossWeights()) for bank in self._banks]))
        if text not in self._rois:
            side = self._config.models.side
            self._rois = {text: bank_rois(self._banks, side=side, text=text, device=self._device)}
        net = learn_amortised(
            self._rois[text][own],
            tables.float()[own].to(self._device),
            seed=seed,
            **rules.model_dump(include={"steps", "rate", "weight_decay", "batch"}),
        )
        state = {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
        return net_file(text, count, seed=seed), state


def _sizes(config: Config) -> list[float]:
    """Sides as shares of the image's, or of found boxes what they grow by, in cells."""
    how = config.proposal_set(dataset_net(config).proposals)
    return list(how.propose.growths if how.boxes == "grounded" else how.propose.sizes)


def _card(config: Config, tasks: Sequence[EditTask], banks: Sequence[Bank]) -> dict[str, Any]:
    """What the nets come from, and the size that does best there if it is used everywhere."""
    loss = np.stack([bank.loss(LossWeights()) for bank in banks]).mean((0, 1))
    # Of the anchor that wins; fmax leaves out candidates that have no score.
    score = np.fmax.reduce(np.stack([bank.score for bank in banks]), axis=1).mean(0)
    return {
        "profile": config.profile,
        "split": config.study.split,
        "tasks": len(tasks),
        "tables": content_key(*(bank.losses for bank in banks)),
        "dataset_net": dataset_net(config).model_dump(mode="json"),
        "sizes": _sizes(config),
        "by_size": {"J": loss.tolist(), "S": score.tolist()},
        "best_size": {"J": int(loss.argmin()), "S": int(score.argmax())},
    }
