"""candidates@proposals: tasks -> every candidate of a proposal set, inpainted and scored.

The one stage that pays for diffusion. A finished task is kept by content (its bytes, words,
parameters, weights and code), so a killed run goes on where it was, and nothing is painted twice.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lr_edit import boxes, inpaint, losses, method, propose, saliency, score
from lr_edit.baselines import diffedit, released
from lr_edit.config import Config
from lr_edit.errors import Unfinished, UserError
from lr_edit.execution.local import Execute, Failed, choose_executor
from lr_edit.frozen import clip, dino, inpainter, weights, whole_pipeline
from lr_edit.frozen.models import Models, load_models
from lr_edit.types import Bank, EditTask, Track
from lr_edit.workspace.paths import cache_folder
from lr_edit.workspace.storage import (
    atomic_write,
    code_digest,
    content_key,
    empty_folder,
    study_image,
    study_tasks,
    write_bank,
    write_tensors,
)

_PARTS = ("tables", "images")
# Editing one of these makes candidates anew.
_CODE = (
    diffedit, method, inpaint, saliency, propose, boxes, released, losses, score, clip, dino,
    inpainter, whole_pipeline,
)  # fmt: skip


@dataclass(frozen=True)
class CandidateTask:
    """A task to be painted: its key in the cache, and its source, uint8 (3, side, side)."""

    key: str
    task: EditTask
    source: np.ndarray


def run(
    root: Path, config: Config, *, name: str, track: Track, execute: Execute | None = None
) -> None:
    """Fill artifacts/candidates/NAME; tasks that were painted before are copied.

    Raises Unfinished with the tasks that failed, after all others are made and kept.
    """
    out = empty_folder(root / "artifacts/candidates" / name)
    kept = cache_folder(root) / "candidates"
    painter = CandidateMaker(root, config, name=name)
    tasks = study_tasks(root)
    keys = {task.id: painter.key(task, study_image(root, task)) for task in tasks}
    missing = [task for task in tasks if not all(p.exists() for p in _files(kept, keys[task.id]))]
    items = (CandidateTask(keys[task.id], task, study_image(root, task)) for task in missing)
    small = config.models.world == "picturebook"
    execute = execute or choose_executor(len(missing), small=small)
    failed = {}
    for item, made in track(execute(items, painter), f"candidates {name}", total=len(missing)):
        if isinstance(made, Failed):
            failed[item.task.id] = made
            continue
        bank, images = made
        tables, pictures = _files(kept, item.key)
        write_tensors(pictures, {"images": images})
        write_bank(tables, bank)
    if failed:
        raise _unfinished(failed, name, of=len(tasks))
    for task in tasks:
        for part, path in zip(_PARTS, _files(kept, keys[task.id]), strict=True):
            with atomic_write(out / part / f"{task.id}.safetensors") as target:
                shutil.copyfile(path, target)


class CandidateMaker:
    """Makes a task's candidates; models are loaded at the first one, wherever that is."""

    def __init__(self, root: Path, config: Config, *, name: str) -> None:
        self._root, self._config, self._name = root, config, name
        self._common = _common_key(root, config, name)
        self._models: Models | None = None

    def key(self, task: EditTask, source: np.ndarray) -> str:
        """A task's key in the cache: everything that its candidates depend on."""
        return content_key(self._common, asdict(task) | {"image": None}, source)

    def __call__(self, item: CandidateTask) -> tuple[Bank, np.ndarray]:
        """The bank, and its candidates as uint8 (points, sizes, 3, side, side)."""
        config = self._config
        if self._models is None:
            if _common_key(self._root, config, self._name) != self._common:
                raise UserError(
                    f"{platform.node()} has other code or weights in {self._root}:"
                    " bring every machine to the same commit and run `dvc pull` there"
                )
            self._models = load_models(self._root, config.models)
        bank, images = method.make_bank(
            self._models, item.task, source=torch.from_numpy(item.source.copy()), config=config,
            how=config.proposal_set(self._name),
        )  # fmt: skip
        return bank, images.numpy()


def _files(kept: Path, key: str) -> list[Path]:
    return [kept / f"{key}.{part}.safetensors" for part in _PARTS]


def _unfinished(failed: dict[str, Failed], name: str, *, of: int) -> Unfinished:
    """Every task that failed, by name; `--debug` shows where the first one did."""
    causes = "; ".join(f"{task} ({why.cause})" for task, why in failed.items())
    error = Unfinished(
        f"{len(failed)} of {of} tasks of candidates {name} failed: {causes};"
        " the others are kept, run again for these alone"
    )
    error.__cause__ = RuntimeError(next(iter(failed.values())).trace)
    return error


def _common_key(root: Path, config: Config, name: str) -> str:
    """Everything that candidates depend on beside the task."""
    models = config.models
    frozen = [models.anchors, models.clip, models.inpainter]
    frozen += [models.tiny_vae] if models.tiny_vae else []
    return content_key(
        [weights.digest(root, part.name, revision=part.revision) for part in frozen],
        [code_digest(Path(module.__file__ or "")) for module in _CODE],
        config.score.model_dump(),
        config.proposal_set(name).model_dump(),  # its batch too: it moves convolutions' last bits
        [models.side, models.cell, models.attention_side, config.study.seed],
    )
