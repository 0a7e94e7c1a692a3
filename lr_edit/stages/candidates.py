"""candidates@proposals: tasks -> every candidate of a proposal set, inpainted and scored.

The one stage that pays for diffusion. A finished task is kept by content (its bytes, words,
parameters, weights and code), so a killed run goes on where it was, and nothing is painted twice.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from lr_edit import (
    difference,
    editor,
    inpaint,
    look,
    proposals,
    propose,
    released,
    score,
    teacher,
)  # fmt: skip
from lr_edit.config import Config
from lr_edit.frozen import clip, dino, inpainter, weights
from lr_edit.frozen.models import Models, load_models
from lr_edit.places import cache_folder
from lr_edit.storage import (
    code_digest,
    content_key,
    emptied,
    study_image,
    study_tasks,
    whole,
    write_bank,
    write_tensors,
)
from lr_edit.types import EditTask, Track

# Editing one of these makes candidates anew.
_CODE = (
    difference, editor, inpaint, look, proposals, propose, released, score, teacher, clip, dino,
    inpainter,
)  # fmt: skip


def run(root: Path, config: Config, *, name: str, track: Track) -> None:
    """Fill artifacts/candidates/NAME; tasks that were painted before are copied."""
    out = emptied(root / "artifacts/candidates" / name)
    kept = cache_folder(root) / "candidates"
    common = _common_key(root, config, name)
    models = None
    for task in track(study_tasks(root), f"candidates {name}"):
        source = study_image(root, task)
        key = content_key(common, asdict(task) | {"image": None}, source)
        tables, images = (kept / f"{key}.{part}.safetensors" for part in ("tables", "images"))
        if not (tables.exists() and images.exists()):
            models = models or load_models(root, config.models)
            _paint(models, task, source, config, name, tables=tables, images=images)
        for part, path in (("tables", tables), ("images", images)):
            with whole(out / part / f"{task.id}.safetensors") as target:
                shutil.copyfile(path, target)


def _paint(
    models: Models,
    task: EditTask,
    source: np.ndarray,
    config: Config,
    name: str,
    *,
    tables: Path,
    images: Path,
) -> None:
    how = config.proposal_set(name)
    bank, painted = editor.make_bank(models, task, torch.from_numpy(source), config=config, how=how)
    write_tensors(images, {"images": painted.numpy()})
    write_bank(tables, bank)


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
