"""judge@proposals: candidates of a set -> artifacts/judge/SET/ID.safetensors, a table per task.

A finished task is kept by content (pixels, boxes, words, truth, judges and code), so that nothing
is judged twice and a killed run goes on where it was. Where nothing is missing, no model library is
imported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.execution.local import Execute, choose_executor, make_all
from lr_edit.frozen.weights import identify, resolve
from lr_edit.profiles import Profile
from lr_edit.types import EditTask, Track
from lr_edit.workspace.cache import Cache
from lr_edit.workspace.code import code_digest
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.paths import cache_folder
from lr_edit.workspace.storage import (
    content_key,
    read_bank,
    read_candidates,
    study_image,
    study_tasks,
    write_tensors,
)

if TYPE_CHECKING:
    from eval.study.judging import JudgeNets

DINO_SIDE = 224  # pixels: what structure distances are published at


@dataclass(frozen=True)
class JudgeTask:
    """A task whose candidates are to be judged: uint8 source, candidates and their boxes."""

    task: EditTask
    source: np.ndarray
    images: np.ndarray
    boxes: np.ndarray


def run(
    root: Path, config: Config, *, name: str, track: Track, execute: Execute | None = None
) -> int:
    """Fill artifacts/judge/NAME; tasks that were judged before are copied. Returns how many were
    not.

    Raises Unfinished at the first task that fails; those before it are kept.
    """
    with new_folder(root / "artifacts/judge" / name) as out:
        return _fill(root, config, name, out=out, track=track, execute=execute)


def _fill(
    root: Path, config: Config, name: str, *, out: Path, track: Track, execute: Execute | None
) -> int:
    cache, common = Cache(cache_folder(root), "judge"), _common_key(root, config.models)
    missing: dict[str, str] = {}  # task -> key
    for task in study_tasks(root):
        key = _key(common, _read(root, task, name=name))
        if not cache.restore(key, {"table": out / f"{task.id}.safetensors"}.__getitem__):
            missing[task.id] = key
    if not missing:
        return 0
    items = (_read(root, task, name=name) for task in study_tasks(root) if task.id in missing)
    small = config.models.world == "picturebook"
    execute = execute or choose_executor(len(missing), small=small)
    made = make_all(items, TaskJudge(root, config.models), execute=execute)
    for task_id, table in track(made, f"judge {name}", total=len(missing)):
        path = out / f"{task_id}.safetensors"
        write_tensors(path, table)
        cache.keep(missing[task_id], {"table": path})
    return len(missing)


class TaskJudge:
    """Judges the candidates of a task; networks are loaded at the first one, wherever that is."""

    def __init__(self, root: Path, profile: Profile) -> None:
        self._root, self._profile = root, profile
        self._nets: JudgeNets | None = None

    def __call__(self, item: JudgeTask) -> tuple[str, dict[str, np.ndarray]]:
        """The task's id, and its table."""
        self._nets = self._nets or load_judges(self._root, self._profile)
        parts = item.source, item.images, item.boxes
        return item.task.id, _judge(*parts, task=item.task, judges=self._nets)


def _read(root: Path, task: EditTask, *, name: str) -> JudgeTask:
    bank = read_bank(root / f"artifacts/tables/{name}/{task.id}.safetensors")
    images = read_candidates(root, name, task=task, bank=bank)
    source = study_image(root, task)
    if source.shape[-2:] != images.shape[-2:]:
        high, wide = source.shape[-2:]
        raise UserError(f"the image of task {task.id!r} is {wide}x{high}, its candidates {name!r} "
                        "are not: run the stage prepare again")  # fmt: skip
    return JudgeTask(task, source, images, bank.boxes)


def _key(common: str, item: JudgeTask) -> str:
    return content_key(common, _words(item.task), item.source, item.images, item.boxes)


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
