"""judge@proposals: candidates of a set -> artifacts/judge/SET/ID.safetensors, a table per task.

A finished task is kept by content (pixels, boxes, words, truth, judges and code), so that nothing
is judged twice and a killed run goes on where it was. Where nothing is missing, no model library is
imported.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lr_edit.config import Config
from lr_edit.files import empty_folder
from lr_edit.frozen.weights import identify, resolve
from lr_edit.profiles import Profile
from lr_edit.types import EditTask, Track
from lr_edit.workspace.cache import Cache
from lr_edit.workspace.code import code_digest
from lr_edit.workspace.paths import cache_folder
from lr_edit.workspace.storage import (
    content_key,
    read_bank,
    read_tensors,
    study_image,
    study_tasks,
    write_tensors,
)

if TYPE_CHECKING:
    from eval.study.judging import JudgeNets

DINO_SIDE = 224  # pixels: what structure distances are published at


def run(root: Path, config: Config, *, name: str, track: Track) -> int:
    """Fill artifacts/judge/NAME; tasks that were judged before are copied. Returns how many were
    not."""
    out = empty_folder(root / "artifacts/judge" / name)
    cache, common = Cache(cache_folder(root), "judge"), _common_key(root, config.models)
    candidates = root / "artifacts/candidates" / name
    nets: JudgeNets | None = None
    made = 0
    for task in track(study_tasks(root), f"judge {name}"):
        source = study_image(root, task)
        images = read_tensors(candidates / f"images/{task.id}.safetensors")["images"]
        boxes = read_bank(candidates / f"tables/{task.id}.safetensors").boxes
        key = content_key(common, _words(task), source, images, boxes)
        files = {"table": out / f"{task.id}.safetensors"}
        if not cache.restore(key, files.__getitem__):
            nets = nets or load_judges(root, config.models)
            write_tensors(files["table"], _judge(source, images, boxes, task=task, judges=nets))
            cache.keep(key, files)
            made += 1
    return made


def _judge(
    source: np.ndarray, images: np.ndarray, boxes: np.ndarray, *, task: EditTask, judges: JudgeNets
) -> dict[str, np.ndarray]:
    from eval.study.judging import judge_candidates

    return judge_candidates(source, images, boxes=boxes, task=task, judges=judges)


def load_judges(root: Path, profile: Profile) -> JudgeNets:
    """The profile's judges. UserError where weights are missing."""
    import torch

    from eval.metrics.networks import load_lpips
    from eval.study.judging import JudgeNets
    from lr_edit.frozen.clip import load_clip
    from lr_edit.frozen.dino import load_dino
    from lr_edit.frozen.judge import load_judge

    device = "cuda" if torch.cuda.is_available() else "cpu"
    judges = profile.judges
    labels = judges.labels
    return JudgeNets(
        clip=load_clip(resolve(root, judges.clip.name), judges.clip.pretrained, device=device),
        structure=load_dino(resolve(root, judges.structure.name), device=device),
        perceptual=(
            load_lpips(root, judges.perceptual, device=device) if judges.perceptual else None
        ),
        labels=load_judge(resolve(root, labels.name), device=device) if labels else None,
        structure_side=None if profile.world == "picturebook" else DINO_SIDE,
    )


def _common_key(root: Path, profile: Profile) -> str:
    """Everything that judgements depend on beside the task and its candidates."""
    judges = profile.judges
    networks = (judges.clip, judges.structure, judges.perceptual, judges.labels)
    return content_key(
        code_digest(__name__, "load_judges", "_judge"),
        [part and identify(root, part) for part in networks],
        profile.world,
    )


def _words(task: EditTask) -> list[object]:
    truth = task.truth and asdict(task.truth)
    return [task.prompt, task.source, task.caption, truth]
