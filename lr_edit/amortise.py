"""Dataset-level AnchorNets: read from where the profile keeps its own; their predictions.

PROPOSALS/{blind,text}-TASKS-SEED.safetensors   AnchorNet's parameters
PROPOSALS/card.json                             what they learned from, and its best size
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lr_edit.anchor_net import AnchorNet, add_relevance, bank_rois, fresh_net, roi_features
from lr_edit.config import Config, DatasetNet
from lr_edit.errors import UserError
from lr_edit.frozen.weights import folder_of, resolve
from lr_edit.learn_amortised import predict_log_probabilities
from lr_edit.saliency import Saliency
from lr_edit.types import Bank
from lr_edit.variant import Ablation
from lr_edit.workspace.storage import read_json, read_tensors


def read_nets(
    root: Path, config: Config, *, proposals: str, text: bool, trained_on: int, seeds: int
) -> list[AnchorNet]:
    """Nets of so many starts that learned from a proposal set's tables of `trained_on` tasks, blind
    or with the words.

    Raises UserError where the profile has none.
    """
    folder = nets_folder(root, config) / proposals
    return [_read_net(folder / net_file(text, trained_on, seed=seed)) for seed in range(seeds)]


def predict_tables(
    root: Path, config: Config, *, row: Ablation, banks: Sequence[Bank]
) -> Iterator[list[Float[np.ndarray, "points sizes"]]]:
    """log q of the row's net of every seed, bank by bank; no losses are read.

    Trained on no task, the nets are starts, drawn from their seeds.
    """
    nets = []
    if row.trained_on:
        nets = read_nets(
            root, config, proposals=row.proposals, text=row.text, trained_on=row.trained_on,
            seeds=row.seeds,
        )  # fmt: skip
    for bank in banks:
        rois = bank_rois([bank], side=config.models.side, text=row.text)[0]
        for seed in range(len(nets), row.seeds):
            start = torch.Generator().manual_seed(seed)
            nets.append(fresh_net(rois.shape[2], rois.shape[1], generator=start))
        yield [predict_log_probabilities([net], rois).numpy() for net in nets]


def read_prior(
    root: Path, config: Config, *, proposals: str
) -> Callable[[Saliency, Tensor], Float[np.ndarray, "points sizes"]]:
    """The prior of a budgeted edit: log q of a proposal set's nets that learned from most images
    and read the words.

    Raises UserError where the profile has none.
    """
    folder, side = nets_folder(root, config) / proposals, config.models.side
    found = [path.stem.split("-")[1] for path in folder.glob("text-*-*.safetensors")]
    most = max(map(int, found), default=0)
    seeds = found.count(str(most)) or 1
    nets = read_nets(root, config, proposals=proposals, text=True, trained_on=most, seeds=seeds)

    def prior(maps: Saliency, boxes: Tensor) -> np.ndarray:
        features = add_relevance(maps.features.numpy(), maps.relevance.numpy())
        return predict_log_probabilities(nets, roi_features(features, boxes, side=side)).numpy()

    return prior


def best_size(root: Path, config: Config, *, proposals: str, by: str) -> int:
    """The index of the size that was best where a proposal set's nets learned.

    by J: used at every anchor, its mean loss was lowest; by S: the S of the winner was highest.
    """
    return int(read_json(nets_folder(root, config) / proposals / "card.json")["best_size"][by])


def nets_folder(root: Path, config: Config) -> Path:
    """Where the profile keeps its dataset-level nets; UserError if it names no folder."""
    weights = config.models.anchor_net
    folder = folder_of(resolve(root, weights.name)) if weights else None
    if folder is None:
        raise UserError(
            f"profile {config.profile!r} names no folder for dataset-level nets: "
            "give it `anchor_net: {name: local-dir:FOLDER}`"
        )
    return folder


def dataset_net(config: Config) -> DatasetNet:
    """How dataset-level nets are trained; UserError where nothing says it."""
    if config.dataset_net is None:
        raise UserError("params.yaml has no `dataset_net`: it says how to train one")
    return config.dataset_net


def net_file(text: bool, tasks: int, *, seed: int) -> str:
    """The name of a net's file: does it see the words, of how many tasks and which seed is it."""
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
