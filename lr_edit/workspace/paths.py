"""Where things lie: a checkout, its studies, and what they share.

    params.yaml, dvc.yaml, artifacts/, reports/        the checkout's own study
    studies/NAME/{params.yaml, dvc.yaml, artifacts/}   a further study; its reports: reports/NAME/
    data/, models/, cache/, mlflow.db                  shared by all studies of a checkout

A study is a folder, and `root` means that folder everywhere in this package.
"""

from __future__ import annotations

import os
from pathlib import Path

from lr_edit.errors import UserError
from lr_edit.profiles import Profile


def find_root(start: Path | None = None) -> Path:
    """The study: `start`, else the working directory upwards, else where this package lies."""
    if start is not None:
        if (start / "params.yaml").is_file():
            return start.resolve()
        raise UserError(f"{start} holds no params.yaml: point --root at a checkout")
    here = Path.cwd().resolve()
    places = (here, *here.parents, Path(__file__).resolve().parents[2])
    known = [one for one in places if (one / "params.yaml").is_file()]
    for folder in known:
        if (folder / "dvc.yaml").is_file() or checkout(folder) != folder:
            return folder
    if known:
        raise UserError(
            f"{known[0]} holds params.yaml and no dvc.yaml: `git checkout dvc.yaml`, or pass --root"
        )
    raise UserError("no params.yaml here or above: run inside a checkout or pass --root")


def find_params(start: Path | None = None) -> Path | None:
    """The params.yaml of a study, for who needs none: below `start`; else of the working directory,
    of a folder above it, or where this package lies. UserError where `start` is no folder."""
    if start and not start.is_dir():
        raise UserError(f"{start} is no folder: point --root at a checkout")
    here, installed = Path.cwd().resolve(), Path(__file__).resolve().parents[2]
    places = (start,) if start else (here, *here.parents, installed)
    return next((one / "params.yaml" for one in places if (one / "params.yaml").is_file()), None)


def checkout(root: Path) -> Path:
    """The checkout that a study belongs to: what is above studies/, or the root itself."""
    above = root.parent.parent
    return above if root.parent.name == "studies" and (above / "params.yaml").is_file() else root


def home(root: Path) -> Path:
    """The checkout that keeps what outlives a run.

    DVC's queue runs stages in temporary copies below the original's .dvc.
    """
    top = checkout(root.resolve())
    parts = top.parts
    return Path(*parts[: parts.index(".dvc")]) if ".dvc" in parts else top


def locate(root: Path, path: str | Path) -> Path:
    """Weights or data: below the study, else below the nearest folder above it that has them.

    Where they are nowhere, the place in the checkout where they belong.
    """
    for folder in (root, *root.parents):
        if (folder / path).exists():
            return folder / path
    return checkout(root) / path


def find_weights(profile: Profile, *, start: Path | None = None) -> Path:
    """The nearest folder that holds a profile's own folders of weights: `start`, the working
    directory, what is above them, else where this package lies. UserError where it is nowhere."""
    needed = [part.folder for part in (profile.anchors, profile.clip, profile.inpainter)]
    folders = [folder for folder in needed if folder]
    starts = [place.resolve() for place in (start, Path.cwd()) if place]
    installed = Path(__file__).resolve().parents[2]
    for place in (*(p for one in starts for p in (one, *one.parents)), installed):
        if all((place / folder).is_dir() for folder in folders):
            return place
    raise UserError(
        f"the weights {folders[0]} are neither here nor above: run `dvc pull` in a checkout, and "
        "work in it or name it (`--root`, `root=`)"
    )


def reports_folder(root: Path) -> Path:
    """Where a study's tables and figures go: in git, beside those of the other studies."""
    top = checkout(root)
    return top / "reports" if top == root else top / "reports" / root.name


def cache_folder(root: Path) -> Path:
    """Where finished items are kept by content, outside every stage's outputs, for all studies.

    LR_EDIT_CACHE, else `cache/` of the checkout.
    """
    kept = os.environ.get("LR_EDIT_CACHE")
    return Path(kept).expanduser() if kept else home(root) / "cache"
