"""Which networks and which versions made the numbers: the side file of a report."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lr_edit.frozen.weights import digest
from lr_edit.profiles import Profile, Weights

PACKAGES = (
    "lr-edit", "diffusers", "lpips", "numpy", "open_clip_torch", "pillow", "scipy", "timm", "torch",
    "torchmetrics", "torchvision", "transformers",
)  # fmt: skip


def provenance(root: Path, profile: Profile) -> dict[str, Any]:
    """provenance.json: the method's networks and the judges, by digest, and every version."""
    return {
        "networks": {role: _network(root, one) for role, one in profile.roles.items()},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of every package that a value depends on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _network(root: Path, weights: Weights) -> dict[str, str | None]:
    """`digest` is a folder's sha256, or a hub model's name and revision."""
    return {
        "name": weights.name,
        "pretrained": weights.pretrained,
        "digest": digest(root, weights.name, revision=weights.revision),
    }
