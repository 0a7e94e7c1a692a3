"""Editors that need no region, as a row beside those that do: one "box", the whole picture.

An instruction takes the place of the prompt; noise, scores and judges are everybody's.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lr_edit.config import Config
from lr_edit.frozen import Inpainter
from lr_edit.frozen.models import Models
from lr_edit.frozen.wrapped import WrappedInpainter
from lr_edit.inpaint import noise_seed
from lr_edit.method import make_bank
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import keep_in_picture
from lr_edit.saliency import compute_saliency
from lr_edit.types import Bank, EditTask, Sampler


def write_instruction(source: str, prompt: str) -> str:
    """One sentence that turns a picture with `source` into one with `prompt`.

    Args:
        source: What is there.
        prompt: What is to be there, a scene or a thing; "nothing" takes the thing away.

    Example:
        >>> write_instruction("a yellow boat", "a red cup on grass")
        'turn a yellow boat into a red cup on grass'
    """
    return f"turn {source} into {prompt}"


class Instructed(WrappedInpainter):
    """An editor that is told, with every prompt, what is there."""

    def __init__(self, editor: Inpainter, *, source: str) -> None:
        super().__init__(editor)
        self._source = source

    def inpaint(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 side side"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 side side"]:
        """The picture, edited by an instruction."""
        told = write_instruction(self._source, prompt)
        return self.inpainter.inpaint(image, told, masks=masks, noise=noise, sampler=sampler)


def instructed_bank(
    models: Models,
    task: EditTask,
    *,
    source: UInt8[Tensor, "3 side side"],
    config: Config,
    how: ProposalSet,
) -> tuple[Bank, UInt8[Tensor, "draws 1 3 side side"]]:
    """The whole picture, edited from `draws` noises and scored as all candidates are; in `models`
    the editor stands where the inpainter does."""
    maps = compute_saliency(
        models, task, source=source, config=config, proposals=how,
        seed=noise_seed(task.id, config.study.seed),
    )  # fmt: skip
    side = source.shape[-1]
    whole = torch.tensor([0, 0, side, side]).repeat(how.draws, 1, 1)
    every = maps, torch.full((how.draws, 2), -1), whole
    proposed = keep_in_picture(every, models.part)
    models = replace(models, inpainter=Instructed(models.inpainter, source=task.source))
    own = how.model_copy(update={"noise": "common" if how.draws == 1 else "independent"})
    return make_bank(models, task, source=source, config=config, how=own, proposed=proposed)
