"""A painted study -> nets across images, and back again from where the profile keeps its own.

{blind,text}-TASKS-SEED.safetensors   AnchorNet's parameters
card.json                             what they learned from, and its best size
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lr_edit.anchor_net import (
    AnchorNet,
    add_relevance,
    bank_rois,
    fresh_net,
    roi_features,
)
from lr_edit.config import Ablation, Config, DatasetNet
from lr_edit.errors import UserError
from lr_edit.frozen.weights import folder_of, resolve
from lr_edit.learn_amortised import learn_amortised, predict_log_probabilities, training_set
from lr_edit.saliency import Saliency
from lr_edit.types import Bank, EditTask, LossWeights, Track
from lr_edit.workspace.storage import (
    content_key,
    empty_folder,
    read_banks,
    read_json,
    read_tensors,
    study_tasks,
    write_json,
    write_tensors,
)


def amortise(root: Path, config: Config, *, track: Track) -> Path:
    """Train on the tables of the study at `root`; returns the folder that was written, an artifact
    of this study. Others read what their profile names: bundling it is a copy.

    Raises UserError if the study has fewer tasks than a net is to be trained on.
    """
    rules, folder, tasks = _dataset_net(config), root / "artifacts/anchor-net", study_tasks(root)
    if max(rules.tasks) > len(tasks):
        raise UserError(
            f"dataset_net.tasks asks for {max(rules.tasks)} tasks and the split "
            f"{config.study.split!r} has {len(tasks)}: ask for less, or add tasks"
        )
    banks = read_banks(root, rules.proposals, tasks=tasks)
    tables = torch.from_numpy(np.stack([bank.loss(LossWeights()) for bank in banks])).float()
    how = rules.model_dump(include={"steps", "rate", "weight_decay", "batch"})
    plan = [(count, seed) for count in rules.tasks for seed in range(rules.seeds)]
    empty_folder(folder)
    for text in (False, True):
        rois = bank_rois(banks, side=config.models.side, text=text)
        label = "nets across images" + (", with text" if text else "")
        for count, seed in track(plan, label, total=len(plan)):
            own = training_set(len(tasks), count, seed=config.study.seed)
            net = learn_amortised(rois[own], tables[own], seed=seed, **how)
            state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
            write_tensors(folder / _name(text, count, seed), state)
    write_json(folder / "card.json", _card(config, tasks, banks))
    return folder


def _card(config: Config, tasks: Sequence[EditTask], banks: Sequence[Bank]) -> dict[str, Any]:
    """What the nets come from, and the size that does best there if it is used everywhere."""
    loss = np.stack([bank.loss(LossWeights()) for bank in banks]).mean((0, 1))
    score = np.stack([bank.score for bank in banks]).max(1).mean(0)  # of the anchor that wins
    return {
        "profile": config.profile,
        "split": config.study.split,
        "tasks": len(tasks),
        "tables": content_key(*(bank.losses for bank in banks)),
        "dataset_net": _dataset_net(config).model_dump(mode="json"),
        "sizes": list(config.propose.sizes),
        "by_size": {"J": loss.tolist(), "S": score.tolist()},
        "best_size": {"J": int(loss.argmin()), "S": int(score.argmax())},
    }


def read_nets(
    root: Path, config: Config, *, text: bool, trained_on: int, seeds: int
) -> list[AnchorNet]:
    """Nets of so many starts that learned from `trained_on` tasks, blind or with the words.

    Raises UserError where the profile has none.
    """
    folder = nets_folder(root, config)
    return [_read_net(folder / _name(text, trained_on, seed)) for seed in range(seeds)]


def predict_tables(
    root: Path, config: Config, *, row: Ablation, banks: Sequence[Bank]
) -> Iterator[list[Float[np.ndarray, "points sizes"]]]:
    """log q of the row's net of every seed, bank by bank; no losses are read.

    Trained on no task, the nets are starts, drawn from their seeds.
    """
    nets = []
    if row.trained_on:
        nets = read_nets(root, config, text=row.text, trained_on=row.trained_on, seeds=row.seeds)
    for bank in banks:
        rois = bank_rois([bank], side=config.models.side, text=row.text)[0]
        for seed in range(len(nets), row.seeds):
            start = torch.Generator().manual_seed(seed)
            nets.append(fresh_net(rois.shape[2], rois.shape[1], generator=start))
        yield [predict_log_probabilities([net], rois).numpy() for net in nets]


def read_prior(
    root: Path, config: Config
) -> Callable[[Saliency, Tensor], Float[np.ndarray, "points sizes"]]:
    """The prior of a live edit, log q of the nets that learned from most images and see the words.

    Raises UserError where the profile has none.
    """
    folder, side = nets_folder(root, config), config.models.side
    found = [path.stem.split("-")[1] for path in folder.glob("text-*-*.safetensors")]
    most = max(map(int, found), default=0)
    nets = read_nets(root, config, text=True, trained_on=most, seeds=found.count(str(most)) or 1)

    def prior(seen: Saliency, boxes: Tensor) -> np.ndarray:
        features = add_relevance(seen.features.numpy(), seen.relevance.numpy())
        return predict_log_probabilities(nets, roi_features(features, boxes, side=side)).numpy()

    return prior


def best_size(root: Path, config: Config, *, by: str) -> int:
    """The index of the size that was best where the nets learned.

    by J: used at every anchor, its mean loss was lowest; by S: the S of the winner was highest.
    """
    return int(read_json(nets_folder(root, config) / "card.json")["best_size"][by])


def nets_folder(root: Path, config: Config) -> Path:
    """Where the profile keeps its nets across images; UserError if it names no folder."""
    weights = config.models.anchor_net
    folder = folder_of(resolve(root, weights.name)) if weights else None
    if folder is None:
        raise UserError(
            f"profile {config.profile!r} names no folder for nets across images: "
            "give it `anchor_net: {name: local-dir:FOLDER}`"
        )
    return folder


def _dataset_net(config: Config) -> DatasetNet:
    if config.dataset_net is None:
        raise UserError("params.yaml has no `dataset_net`: it says how to train one")
    return config.dataset_net


def _name(text: bool, tasks: int, seed: int) -> str:
    return f"{'text' if text else 'blind'}-{tasks}-{seed}.safetensors"


def _read_net(path: Path) -> AnchorNet:
    if not path.is_file():
        raise UserError(
            f"{path} is missing: `make study STUDY=train` makes it, and README says where it goes"
        )
    state = {name: torch.from_numpy(value) for name, value in read_tensors(path).items()}
    net = AnchorNet(state["project.weight"].shape[1], len(state["head.bias"]))
    net.load_state_dict(state)
    return net
