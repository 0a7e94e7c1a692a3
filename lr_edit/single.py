"""One image from the command line: files in, the editor, files out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lr_edit import editor
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.frozen.models import load_models
from lr_edit.stages.prepare import working_image
from lr_edit.storage import read_image, write_image
from lr_edit.types import EditTask, Track


def edit_file(
    root: Path,
    config: Config,
    image: Path,
    *,
    source: str,
    prompt: str,
    output: Path,
    variant: str,
    track: Track,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Edit one image file; returns the chosen box in pixels, its score and what it cost."""
    row = config.variant(variant)
    if not source.strip() or not prompt.strip():
        raise UserError(
            "the source words and the prompt may not be empty: say what to edit into what"
        )
    if row.choose != "net":
        raise UserError(
            f"variant {variant!r} has no net: `lr-edit edit` takes one that chooses `net`"
        )
    pixels, side = read_image(image), config.models.side
    if config.models.world == "picturebook" and pixels.shape[:2] != (side, side):
        warn(f"{image} is no {side}x{side} drawing: picture-book weights know nothing else")
    working = working_image(pixels, side=side)
    task = EditTask(id=image.stem, image=image, source=source, prompt=prompt)
    models = load_models(root, config.models)
    tensor = torch.from_numpy(working.transpose(2, 0, 1).copy())
    how = config.proposal_set(row.proposals).propose
    count = how.points * len(how.sizes)
    ((edited, choice, bank),) = track(
        (editor.edit(models, task, tensor, config=config, variant=row) for _ in range(1)),
        f"inpainting {count} candidates",
        1,
    )
    write_image(output, edited.permute(1, 2, 0).numpy())
    return {
        "output": str(output),
        "box": bank.boxes[choice.point, choice.size].tolist(),
        "score": float(bank.score[choice.point, choice.size]),
        "candidates": bank.losses[..., 0].size,
        "unet_evaluations": bank.evaluations,
    }
