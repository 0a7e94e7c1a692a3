"""A small study as the stages leave it: artifacts, params.yaml, and the dvc.lock that fits them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lr_edit.tracking.lockfile import content_md5
from lr_edit.types import Bank, Choice, EditTask
from lr_edit.workspace.storage import (
    read_json,
    write_bank,
    write_choices,
    write_image,
    write_json,
    write_tasks,
    write_tensors,
)

SIDE, POINTS, SIZES = 32, 3, 2
BASE = {"choose": "net", "learner": "none", "rank": "S", "proposals": "dino", "rate": 5e-3}
ABLATIONS = {
    "losses": {"clip": {"proposals": "dino", "choose": "table"}},
    "sizes": {"two": {"proposals": "dino", "choose": "table", "sizes": [0, 1]}},
}


def make_study(root: Path, variants: dict[str, dict[str, Any]], *, tasks: int = 4) -> None:
    """Everything below `root`; a variant's results are drawn from its parameters alone."""
    root.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {"base": BASE, "variants": variants, "ablations": ABLATIONS}
    params = {"profile": "small", "study": {"split": "dev", "seed": 0}, **rows}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    study = [EditTask(f"t{i}", Path(f"images/t{i}.png"), "a boat", "a fish") for i in range(tasks)]
    rng = np.random.default_rng(0)
    (root / "data").mkdir(exist_ok=True)
    (root / "data/tasks.txt").write_text("what the study reads\n")
    for task in study:
        write_image(root / "artifacts/tasks" / task.image, _noise(rng))
        write_bank(root / f"artifacts/tables/dino/{task.id}.safetensors", _bank(rng))
    write_tasks(root / "artifacts/tasks/tasks.json", study)
    for name, row in variants.items():
        write_results(root, name, study, seed=len(json.dumps({**BASE, **row})))
    write_report(root, list(variants))
    lock(root, list(variants))


def write_results(root: Path, name: str, tasks: list[EditTask], *, seed: int) -> None:
    """What train, edit and evaluate leave."""
    rng = np.random.default_rng(seed)
    nets, edits = root / "artifacts/nets" / name, root / "artifacts/edits" / name
    rows, curve = ["variant,task,category,seed,metric,region,protocol,value,status"], []
    for task in tasks:
        write_tensors(nets / f"{task.id}.safetensors", {"weight": rng.random(4)})
        write_image(edits / f"{task.id}.png", _noise(rng))
        curve += [{"task": task.id, "step": s, "expected_loss": 1 / (s + 1)} for s in range(20)]
        for metric in ("iou", "score_s"):
            for seed in range(2):
                value = f"{name},{task.id},replace,{seed},{metric},whole,strict,{rng.random()},ok"
                rows.append(value)
        rows.append(f"{name},{task.id},replace,0,lpips,whole,strict,,missing")
    (nets / "curves.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve))
    write_choices(edits / "choices.json", {task.id: [Choice(1, 0)] for task in tasks})
    (root / "artifacts/scores").mkdir(exist_ok=True)
    (root / f"artifacts/scores/{name}.csv").write_text("\n".join(rows) + "\n")
    means: dict[str, Any] = {key: {"mean": rng.random()} for key in ("iou", "score_s", "success")}
    metrics = means | {"lpips": {"mean": None}}
    write_json(root / f"artifacts/scores/{name}.json", {"metrics": metrics})


def write_report(root: Path, variants: list[str]) -> None:
    """What report leaves: the variants' means, and an ablation's."""
    scores = {name: read_json(root / f"artifacts/scores/{name}.json") for name in variants}
    numbers = {name: found.get("metrics", {}) for name, found in scores.items()}
    row = {"iou": {"mean": 0.25, "low": 0.2, "high": 0.3}, "nfe": {"mean": 50.0}}
    groups = yaml.safe_load((root / "params.yaml").read_text())["ablations"]
    ablations = {group: dict.fromkeys(rows, row) for group, rows in groups.items()}
    results = {"variants": numbers, "ablations": ablations}
    write_json(root / "reports/results.json", results)


def lock(root: Path, variants: list[str]) -> None:
    """dvc.lock as DVC writes it, for what lies on disk now."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    stages = {
        "prepare": _entry(
            root,
            ["data"],
            ["artifacts/tasks"],
            {"profile": params["profile"], "study.split": params["study"]["split"]},
        ),
        "candidates@dino": _entry(root, ["artifacts/tasks"], ["artifacts/tables/dino"], {}),
    }
    for name in variants:
        own = {"base": params["base"], f"variants.{name}": params["variants"][name]}
        tables, scores = "artifacts/tables/dino", f"artifacts/scores/{name}"
        nets, edits = f"artifacts/nets/{name}", f"artifacts/edits/{name}"
        stages[f"train@{name}"] = _entry(root, [tables], [nets], own)
        stages[f"edit@{name}"] = _entry(root, [tables, nets], [edits], own)
        outs = [f"{scores}.csv", f"{scores}.json"]
        stages[f"evaluate@{name}"] = _entry(root, [edits, tables], outs, own)
    own = {"base": params["base"], "ablations": params["ablations"]}
    stages["ablate"] = _entry(root, ["artifacts/tables/dino"], [], own)
    stages["report"] = _entry(root, ["artifacts/scores"], ["reports/results.json"], {})
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def _entry(root: Path, deps: list[str], outs: list[str], params: dict[str, Any]) -> dict[str, Any]:
    return {
        "cmd": "lr-edit stage",
        "deps": [_item(root, path) for path in deps],
        "params": {"params.yaml": params},
        "outs": [_item(root, path) for path in outs],
    }


def _item(root: Path, path: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": content_md5(root / path)}


def _noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def _bank(rng: np.random.Generator) -> Bank:
    return Bank(
        boxes=np.tile(np.array([4, 8, 20, 28]), (POINTS, SIZES, 1)),
        losses=rng.random((POINTS, SIZES, 3)),
        cosines=rng.random((POINTS, SIZES, 2)),
        anchors=np.zeros((POINTS, 2), int),
        attention=rng.random((4, 4)),
        features=rng.random((2, 4, 4)),
        relevance=rng.random((4, 4)),
        nfe=8,
    )
