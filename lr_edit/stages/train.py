"""train@variant: banks -> one AnchorNet an image, its curve and its probabilities.

Reads tables, paints nothing. A variant whose sizes no net chooses leaves a summary that says so.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lr_edit.config import Config, Variant
from lr_edit.types import Bank, Track
from lr_edit.workspace.storage import (
    atomic_write,
    empty_folder,
    read_banks,
    study_tasks,
    write_json,
    write_tensors,
)

if TYPE_CHECKING:
    from lr_edit.learn import Learned


def run(root: Path, config: Config, *, name: str, track: Track) -> None:
    """Train, or draw untrained starts, for every task and seed."""
    variant, out = config.variant(name), empty_folder(root / "artifacts/nets" / name)
    if variant.choose != "net":
        write_json(out / "summary.json", {"learner": None})
        return
    _train(root, config, variant, out, track)


def _train(root: Path, config: Config, variant: Variant, out: Path, track: Track) -> None:
    import numpy as np  # torch is for variants that have a net: the others start in no time

    from lr_edit.method import learn_sizes

    tasks = study_tasks(root)
    names = [task.id for task in tasks]
    banks = read_banks(root, variant.proposals, tasks=tasks)
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in names}
    summary: dict[str, dict] = {}
    with atomic_write(out / "curves.jsonl") as part, part.open("w") as curves:
        for seed in range(variant.seeds):
            learned = learn_sizes(
                names,
                banks,
                variant=variant,
                side=config.models.side,
                seed=config.study.seed + seed,
            )
            label = f"train {variant.learner}, seed {seed + 1} of {variant.seeds}"
            for name, bank, net in zip(
                names, banks, track(learned, label, total=len(names)), strict=True
            ):
                probabilities[name].append(net.probabilities.numpy())
                if seed == 0:
                    summary[name] = _summary(net, bank, variant)
                    state = {key: value.numpy() for key, value in net.state.items()}
                    write_tensors(out / f"{name}.safetensors", state)
                    for step in net.curve:
                        curves.write(json.dumps({"task": name, **asdict(step)}) + "\n")
    stacked = {name: np.stack(rows) for name, rows in probabilities.items()}
    write_tensors(out / "probabilities.safetensors", stacked)
    write_json(out / "summary.json", {"learner": variant.learner, "tasks": summary})


def _summary(net: Learned, bank: Bank, variant: Variant) -> dict:
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
        # A net that was not trained still needs one candidate an anchor to rank.
        "paid": net.paid or len(table),
    }
