"""The three frozen models of a profile, loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lr_edit.errors import UserError, shorten
from lr_edit.execution.environment import choose_device
from lr_edit.frozen import AnchorModel, ClipModel, Inpainter
from lr_edit.frozen.weights import resolve
from lr_edit.profiles import Profile
from lr_edit.types import Box


@dataclass(frozen=True)
class Models:
    """What proposes, what scores, what inpaints, and the device on which all is computed.

    part  where the picture lies in the square that is given them, whose rest repeats its edge;
          None: all of it is the picture
    """

    anchors: AnchorModel
    clip: ClipModel
    inpainter: Inpainter
    device: str = "cpu"
    part: Box | None = None


def load_models(
    root: Path, profile: Profile, *, device: str | None = None, dtype: torch.dtype | None = None
) -> Models:
    """The profile's models by their real loaders, on a GPU if there is one; `dtype` is the
    inpainter's. UserError where weights are missing."""
    # Here, so that stages which only learn start without diffusers, timm and open_clip.
    from lr_edit.frozen.clip import load_clip
    from lr_edit.frozen.dino import load_dino
    from lr_edit.frozen.inpainter import load_inpainter

    inpainter, tiny, device = profile.inpainter, profile.tiny_vae, device or choose_device()
    return Models(
        anchors=load_dino(resolve(root, profile.anchors.name), device=device),
        clip=load_clip(resolve(root, profile.clip.name), profile.clip.pretrained, device=device),
        inpainter=load_inpainter(
            resolve(root, inpainter.name),
            revision=inpainter.revision,
            variant=inpainter.variant,
            pipeline=inpainter.pipeline,
            tiny_vae=resolve(root, tiny.name) if tiny else None,
            tiny_revision=tiny.revision if tiny else None,
            device=device,
            dtype=dtype,
            memory=profile.memory,
        ),
        device=device,
    )


def check_device(name: str | torch.device | None) -> str | None:
    """A device that is here; UserError for another."""
    try:
        if name is None:
            return None
        one = torch.ones(1, device=name)
        one.item()  # `meta` holds no values
        return str(one.device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        known = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        said = shorten(Exception(str(error).splitlines()[0]), most=120)
        raise UserError(
            f"device {str(name)!r} cannot be used ({said}); here are: {known}"
        ) from None
