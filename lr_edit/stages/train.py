"""train@variant: banks -> one AnchorNet an image, its curve and its probabilities.

Reads tables, paints nothing. A variant whose sizes no net chooses leaves a summary that says so.
"""

from __future__ import annotations

import json
from pathlib import Path

from lr_edit.config import Config, Variant
from lr_edit.storage import emptied, read_banks, study_tasks, whole, write_json, write_tensors
from lr_edit.types import Track


def run(root: Path, config: Config, *, name: str, track: Track) -> None:
    """Train, or draw untrained starts, for every task and seed."""
    variant, out = config.variant(name), emptied(root / "artifacts/nets" / name)
    if variant.choose != "net":
        write_json(out / "summary.json", {"learner": None})
        return
    _train(root, config, variant, out, track)


def _train(root: Path, config: Config, variant: Variant, out: Path, track: Track) -> None:
    import numpy as np  # torch is for the variants that have a net: the others start in no time

    from lr_edit.learn import learn_sizes

    tasks = study_tasks(root)
    banks = read_banks(root, variant.proposals, tasks)
    probabilities: dict[str, list] = {task.id: [] for task in tasks}
    summary: dict[str, dict] = {}
    with whole(out / "curves.jsonl") as part, part.open("w") as curves:
        for seed in track(range(variant.seeds), f"train {variant.learner}"):
            names = [task.id for task in tasks]
            learned = learn_sizes(
                names, banks, variant, side=config.models.side, seed=config.study.seed + seed
            )
            for task, one in zip(names, learned, strict=True):
                probabilities[task].append(one.probabilities)
                if seed == 0:
                    summary[task] = one.summary
                    write_tensors(out / f"{task}.safetensors", one.state)
                    for record in one.curve:
                        curves.write(json.dumps({"task": task, **record}) + "\n")
    stacked = {task: np.stack(rows) for task, rows in probabilities.items()}
    write_tensors(out / "probabilities.safetensors", stacked)
    write_json(out / "summary.json", {"learner": variant.learner, "tasks": summary})
