"""What happens when weights are not there: one sentence for the user, no library's trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lr_edit.errors import UserError
from lr_edit.profiles import LOCAL, Weights
from lr_edit.workspace.paths import checkout, locate
from lr_edit.workspace.storage import content_key, folder_digest, read_json

VGG = "timm/vgg16.tv_in1k"  # the trunk of LPIPS vgg: torchvision's weights as safetensors


def folder_of(name: str) -> Path | None:
    """The folder that `local-dir:FOLDER` names; None for the name of a hub model."""
    return Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None


@contextmanager
def loading(name: str, *, needs: tuple[str, ...] = ()) -> Iterator[None]:
    """Around a library's loader: raises UserError if a needed file is absent or loading fails."""
    folder = folder_of(name)
    for file in needs if folder else ():
        if not (folder / file).is_file():  # type: ignore[operator]
            raise UserError(f"weights {name!r}: {file} is not there; get it with `dvc pull`")
    try:
        yield
    # RuntimeError and ValueError: timm and open_clip for unknown names and misfitting weights.
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0].split(". ")[0][:160]
        cure = (
            "`dvc pull`"
            if folder
            else "`lr-edit models pull --profile NAME` on a connected machine"
        )
        raise UserError(
            f"weights {name!r} cannot be loaded ({cause}); get them with {cure}"
        ) from error


def resolve(root: Path, name: str) -> str:
    """The name with its `local-dir:` folder made absolute: see `workspace.paths.locate`."""
    folder = folder_of(name)
    return name if folder is None else f"{LOCAL}{locate(root, folder)}"


def digest(root: Path, name: str, *, revision: str | None = None) -> str:
    """What identifies weights: the sha256 of a folder, or what a pull of a hub's model left in
    weights/PROFILE.json; where nothing was pulled, its name and revision."""
    folder = folder_of(name)
    if folder is None:
        pulled = pulled_weights(root).get(name)
        known = pulled and revision in (None, pulled["revision"])
        return content_key(pulled) if known else f"{name}@{revision or 'main'}"
    if not (place := locate(root, folder)).is_dir():
        raise UserError(f"weights {name!r}: the folder is not there; get it with `dvc pull`")
    return folder_digest(place)


def identify(root: Path, part: Weights) -> list[str | None]:
    """What tells a part of a profile from another: its weights, and how they are read."""
    return [digest(root, part.name, revision=part.revision), part.pretrained, part.variant]


def pulled_weights(root: Path) -> dict[str, dict[str, Any]]:
    """Model name -> {revision, licence, files: {path: sha256}}, of every pulled profile."""
    records = sorted((checkout(root) / "weights").glob("*.json"))
    return {name: row for path in records for name, row in read_json(path).items()}
