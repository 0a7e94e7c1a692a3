"""One image from the command line: files in, the editor, files out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lr_edit import method
from lr_edit.amortise import read_prior
from lr_edit.budgeted_editor import Prior, edit_within_budget
from lr_edit.config import Config, Race, Variant
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models, load_models
from lr_edit.photo import full_size, square_to_photo, working_image
from lr_edit.types import Box, EditTask, Merit, Track
from lr_edit.workspace.storage import read_image, write_image

Mode = Literal["race", "enumerate", "amortised"]


def edit_file(
    root: Path,
    config: Config,
    *,
    image: Path,
    source: str,
    prompt: str,
    output: Path,
    mode: Mode = "race",
    budget: int | None = None,
    rank: Merit | None = None,
    variant: str | None = None,
    track: Track,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Edit one image file; returns the chosen box in pixels, its S or loss and what it cost.

    race        previews of most boxes, full quality for the best, within `budget` NFE
    enumerate   every box at full quality, sizes by `variant`'s net
    amortised   the top k boxes alone, by dataset-level nets
    """
    if not source.strip() or not prompt.strip():
        raise UserError(
            "the source words and the prompt may not be empty: say what to edit into what"
        )
    if output.suffix.lower() != ".png":
        raise UserError(f"--output {output} must end in .png: what was not edited stays bit by bit")
    if budget is not None and mode == "enumerate":
        raise UserError("--budget is for --mode race or amortised: enumerate inpaints every box")
    if rank is not None and mode == "enumerate":
        raise UserError("--rank is for --mode race or amortised: a variant has a rank of its own")
    if variant is not None and mode != "enumerate":
        raise UserError("--variant is for --mode enumerate: the others train no net here")
    row = _with_net(config, variant or "learned") if mode == "enumerate" else None
    pixels, side = read_image(image), config.models.side
    if config.models.world == "picturebook" and pixels.shape[:2] != (side, side):
        warn(f"{image} is no {side}x{side} drawing: picture-book weights know nothing else")
    known = config.race.entrants and config.models.anchor_net
    prior = read_prior(root, config) if mode == "amortised" or (mode == "race" and known) else None
    working = working_image(pixels, side=side)
    task = EditTask(id=image.stem, image=image, source=source, prompt=prompt)
    models = load_models(root, config.models)
    tensor = torch.from_numpy(working.transpose(2, 0, 1).copy())
    if row:
        edited, found = _enumerate(models, task, tensor, config, row, track)
    else:
        rules = config.amortised if mode == "amortised" else config.race
        own = {"budget": budget or rules.budget, "rank": rank or rules.rank}
        rules = rules.model_copy(update=own)
        edited, found = _race(models, task, tensor, config, rules, prior, track)
    box, picture = Box(*found["box"]), edited.permute(1, 2, 0).numpy()
    write_image(output, full_size(pixels, picture, box=box, feather=config.inpaint.feather))
    height, width = pixels.shape[:2]
    found["box"] = list(square_to_photo(box, side=side, width=width, height=height).as_tuple())
    return {"output": str(output), "mode": mode, **found}


def _with_net(config: Config, name: str) -> Variant:
    row = config.variant(name)
    if row.choose != "net":
        raise UserError(f"variant {name!r} has no net: `lr-edit edit` takes one that chooses `net`")
    return row


def _enumerate(
    models: Models, task: EditTask, source: Tensor, config: Config, row: Variant, track: Track
) -> tuple[Tensor, dict[str, Any]]:
    how = config.proposal_set(row.proposals).propose
    count = how.points * len(how.sizes)
    ((edited, choice, bank),) = track(
        (method.edit(models, task, source=source, config=config, variant=row) for _ in range(1)),
        f"inpainting {count} candidates",
        total=1,
    )
    return edited, {
        "plan": [bank.losses[..., 0].size],
        "box": bank.boxes[choice.point, choice.size].tolist(),
        "score": float(bank.score[choice.point, choice.size]),
        "candidates": bank.losses[..., 0].size,
        "nfe": bank.nfe,
    }


def _race(
    models: Models,
    task: EditTask,
    source: Tensor,
    config: Config,
    rules: Race,
    prior: Prior | None,
    track: Track,
) -> tuple[Tensor, dict[str, Any]]:
    how = config.proposal_set(rules.proposals)
    how = how.model_copy(update={"relevance": prior is not None})  # which alone reads it
    done = edit_within_budget(
        models, task, source=source, config=config, how=how, rules=rules, track=track, prior=prior
    )
    won = done.raced.merit
    return done.image, {
        "plan": list(done.raced.entered),
        "box": list(done.box.as_tuple()),
        **({"score": won} if rules.rank == "S" else {"loss": -won}),
        "candidates": done.raced.entered[-1],
        "nfe": done.raced.nfe,
    }
