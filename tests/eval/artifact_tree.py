"""A small study as the stages before `evaluate` leave it, written by the real writers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from lr_edit.config import Config, load_config
from lr_edit.types import Bank, Box, Choice, EditTask, Label, Truth
from lr_edit.workspace.storage import (
    write_bank,
    write_choices,
    write_image,
    write_json,
    write_tasks,
    write_tensors,
)
from tests.source_tree import ROOT

SIDE, POINTS = 32, 3
CATEGORIES = ("replace", "recolour", "replace", "remove", "recolour", "add", "replace", "recolour")
SIZES = {"dino": 6, "dino-random": 2, "centre": 4, "random-random": 1, "grounded": 1,
         "grounded-grown": 4, "occlusion": 1, "truth": 1, "detected": 1, "detected-5": 1,
         "instructed": 1}  # fmt: skip
JUDGED = (
    "clip_whole", "clip_edited", "clip_directional", "clip_i", "lpips", "structure_distance",
    "background_mse", "background_psnr", "background_ssim", "iou", "hit", "success",
    "placed", "gone", "kept", "in_place", "success_kind", "success_colour",
)  # fmt: skip
NEEDS_REGION = {"clip_edited", "lpips", "iou", "hit", *(k for k in JUDGED if "background" in k)}


def small_config() -> Config:
    """The project's own params.yaml with few resamples."""
    config = load_config(ROOT / "params.yaml")
    return config.model_copy(update={"study": config.study.model_copy(update={"resamples": 99})})


def make_tree(root: Path, config: Config) -> list[EditTask]:
    """Everything under artifacts/ that evaluate and report read, but for the scores."""
    rng = np.random.default_rng(0)
    tasks = [_task(at, category, rng) for at, category in enumerate(CATEGORIES)]
    for task in tasks:
        write_image(root / "artifacts/tasks" / task.image, _picture(rng))
    write_tasks(root / "artifacts/tasks/tasks.json", tasks)
    for name in config.proposals:
        shape = count_points(config, name), SIZES[name]
        for task in tasks:
            write_candidates(root, name, task, rng, shape=shape)
    for name, variant in config.variants.items():
        shape = count_points(config, variant.proposals), SIZES[variant.proposals]
        drawn = rng.integers(shape, size=(len(tasks), variant.seeds, 2))
        rows = {
            task.id: [Choice(int(p), int(s)) for p, s in row]
            for task, row in zip(tasks, drawn, strict=True)
        }
        write_choices(root / "artifacts/edits" / name / "choices.json", rows)
        for task in tasks:
            write_image(root / "artifacts/edits" / name / f"{task.id}.png", _picture(rng))
        trains = variant.choose == "net"
        write_training(root, name, tasks, rng, learner=variant.learner if trains else None)
    write_json(root / "artifacts/ablations.json", _ablations(config, len(tasks), rng))
    for weights in re.findall(r"local-dir:([^']*)", repr(config.models)):
        write_json(root / weights / "weights.json", {})
    return tasks


def count_points(config: Config, proposals: str) -> int:
    """Anchors of a proposal set here."""
    how = config.proposal_set(proposals)
    alone = how.anchors in ("truth", "centre", "whole") or how.propose.points == 1
    return 1 if alone else POINTS


def _ablations(config: Config, tasks: int, rng: np.random.Generator) -> dict:
    """What the stage ablate leaves: choices within the part of the bank that a row sees."""
    found: dict = {}
    for group, rows in config.ablations.items():
        found[group] = {}
        for name, row in rows.items():
            points = count_points(config, row.proposals)
            shape = (
                min(points, row.points or points),
                len(row.sizes or range(SIZES[row.proposals])),
            )
            drawn = rng.integers(shape, size=(tasks, row.seeds, 2)).tolist()
            candidates_used = [7] * tasks if row.choose == "net" else None
            expected = rng.random((tasks, row.seeds)).tolist()
            found[group][name] = {
                "choices": drawn,
                "candidates_used": candidates_used,
                "expected": expected,
            }
    return found


def write_candidates(
    root: Path, name: str, task: EditTask, rng: np.random.Generator, *, shape: tuple[int, int]
) -> None:
    """A bank and its judgements, drawn at random; the truth's own box leaves no trace outside."""
    corner = rng.integers(0, SIDE // 2, (*shape, 2))
    boxes = np.concatenate([corner, corner + rng.integers(4, SIDE // 2, (*shape, 2))], -1)
    bank = Bank(
        boxes=boxes,
        losses=rng.random((*shape, 3)),
        cosines=rng.random((*shape, 2)),
        anchors=np.zeros((shape[0], 2), int),
        attention=rng.random((4, 4)),
        features=rng.random((2, 4, 4)),
        relevance=rng.random((4, 4)),
        nfe=12 * shape[0] * shape[1],
    )
    write_bank(root / f"artifacts/tables/{name}/{task.id}.safetensors", bank)
    table = {key: rng.random(shape) for key in JUDGED}
    table["success"] = np.round(table["success"])
    if name == "truth":
        table["background_mse"] = np.zeros(shape)
    with np.errstate(divide="ignore"):
        table["background_psnr"] = -10 * np.log10(table["background_mse"])
    if task.truth is None or task.truth.box is None:
        table |= {key: np.full(shape, np.nan) for key in NEEDS_REGION}
    write_tensors(root / f"artifacts/judge/{name}/{task.id}.safetensors", table)


def write_training(
    root: Path, name: str, tasks: list[EditTask], rng: np.random.Generator, *, learner: str | None
) -> None:
    """A summary, and falling curves where something learns."""
    folder = root / "artifacts/nets" / name
    if learner is None:
        write_json(folder / "summary.json", {"learner": None})
        return
    lines, summary = [], {}
    pi = {task.id: rng.dirichlet(np.ones(SIZES["dino"]), size=(1, POINTS)) for task in tasks}
    write_tensors(folder / "probabilities.safetensors", pi)
    for task in tasks:
        start, fall = 1 + float(rng.random()), 0.0 if learner == "none" else 0.5
        steps = range(0, 1 if learner == "none" else 41, 10)
        losses = [start - fall * (1 - 0.5 ** (step / 10)) for step in steps]
        lines += [
            {"task": task.id, "step": step, "expected_loss": loss, "expected_z": loss - start}
            for step, loss in zip(steps, losses, strict=True)
        ]
        summary[task.id] = {
            "start": start, "end": losses[-1], "floor": start - 0.6, "start_z": 0.0,
            "end_z": losses[-1] - start, "floor_z": -0.6,
            "candidates_used": POINTS if learner == "none" else POINTS * SIZES["dino"],
        }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(folder / "summary.json", {"learner": learner, "tasks": summary})


def _task(at: int, category: str, rng: np.random.Generator) -> EditTask:
    left, top = (int(v) for v in rng.integers(0, SIDE // 2, 2))
    return EditTask(
        id=f"eval-{at:03d}",
        image=Path(f"images/eval-{at:03d}.png"),
        source="a red boat",
        prompt="a blue fish and a red cup on snow",
        category=category,
        caption="a red boat and a red cup on snow",
        truth=Truth(
            box=None if category == "add" else Box(left, top, left + 12, top + 9),
            wanted=None if category == "remove" else Label("fish", "blue"),
        ),
    )


def _picture(rng: np.random.Generator) -> np.ndarray:
    """Ground of one colour with a block of another."""
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = rng.integers(0, 256, 3)
    left, top = rng.integers(0, SIDE // 2, 2)
    picture[top : top + 12, left : left + 12] = rng.integers(0, 256, 3)
    return picture
