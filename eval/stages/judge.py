"""judge@proposals: every candidate of a set -> artifacts/judge/SET/ID.safetensors, a table a task.

A finished task is kept by content (pixels, boxes, words, truth, judges and code), so that nothing
is judged twice and a killed run goes on where it was.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from eval.metrics import box, clip, lpips, pie_bench, pixels, regions, ssim, structure, success
from eval.metrics.networks import load_lpips
from eval.study import judging
from eval.study.judging import JudgeNets, judge_candidates
from lr_edit.config import Config
from lr_edit.frozen.clip import load_clip
from lr_edit.frozen.dino import load_dino
from lr_edit.frozen.judge import load_judge
from lr_edit.frozen.weights import digest, resolve
from lr_edit.profiles import Profile
from lr_edit.types import EditTask, Track
from lr_edit.workspace.paths import cache_folder
from lr_edit.workspace.storage import (
    atomic_write,
    code_digest,
    content_key,
    empty_folder,
    read_bank,
    read_tensors,
    study_image,
    study_tasks,
    write_tensors,
)

# Editing one of these judges anew.
_CODE = (
    clip, judging, regions, lpips, pie_bench, pixels, box, ssim, structure, success,
)  # fmt: skip
DINO_SIDE = 224  # pixels: what structure distances are published at


def run(root: Path, config: Config, *, name: str, track: Track) -> None:
    """Fill artifacts/judge/NAME; tasks that were judged before are copied."""
    out = empty_folder(root / "artifacts/judge" / name)
    kept, common = cache_folder(root) / "judge", _common_key(root, config.models)
    candidates = root / "artifacts/candidates" / name
    nets: JudgeNets | None = None
    for task in track(study_tasks(root), f"judge {name}"):
        source = study_image(root, task)
        images = read_tensors(candidates / f"images/{task.id}.safetensors")["images"]
        boxes = read_bank(candidates / f"tables/{task.id}.safetensors").boxes
        table = kept / f"{content_key(common, _words(task), source, images, boxes)}.safetensors"
        if not table.exists():
            nets = nets or load_judges(root, config.models)
            values = judge_candidates(source, images, boxes=boxes, task=task, judges=nets)
            write_tensors(table, values)
        with atomic_write(out / f"{task.id}.safetensors") as part:
            shutil.copyfile(table, part)


def load_judges(root: Path, profile: Profile) -> JudgeNets:
    """The profile's judges. UserError where weights are missing."""
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
        [w and [digest(root, w.name, revision=w.revision), w.pretrained] for w in networks],
        [code_digest(Path(str(module.__file__))) for module in _CODE],
        profile.world,
    )


def _words(task: EditTask) -> list[object]:
    truth = task.truth and asdict(task.truth)
    return [task.prompt, task.source, task.caption, truth]
