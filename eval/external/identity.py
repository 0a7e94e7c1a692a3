"""How a value was measured: network, protocol, options, libraries, and the metrics' own code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from eval.metrics.networks import Network
from eval.metrics.suite import SUITE
from lr_edit.workspace.code import code_digest
from lr_edit.workspace.storage import content_key

_ALWAYS = ("numpy", "pillow", "torch", "torchvision")
_OF_ROLE = {
    "clip": ("open_clip_torch",), "structure": ("timm",), "dino": ("timm",),
    "perceptual": ("lpips",),
}  # fmt: skip


def describe_way(
    metric: str, *, network: Network | None, protocol: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """All that may move a metric's value but the pictures and words.

    Args:
        metric: a name of the suite.
        network: what measures it, where anything learned does.
        protocol: `strict` or `pie-bench`.
        options: what else was asked for, such as `jpeg_75` and `resize`.

    Returns:
        Plain values; equal ways are equal.
    """
    role = SUITE[metric].role
    return {
        "metric": metric,
        "network": None if network is None else {"name": network.name, "sha256": network.digest},
        "protocol": protocol,
        "options": dict(options),
        "libraries": {name: _version(name) for name in (*_ALWAYS, *_OF_ROLE.get(role or "", ()))},
        "code": _code(),
    }


def way_key(way: Mapping[str, Any]) -> str:
    """The digest that names a way of measuring."""
    return content_key(way)[:16]


def name_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first thing in which two ways differ, in words."""
    for key, value in one.items():
        there = other.get(key)
        if there == value or key == "metric":
            continue
        if key == "network":
            names = [net["name"] if net else "no network" for net in (there, value)]
            same = names[0] == names[1]
            return f"other weights of {names[0]}" if same else f"{names[0]}, not {names[1]}"
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            part = next((k for k in {**value, **there} if value.get(k) != there.get(k)), key)
            return f"{part} {there.get(part)}, not {value.get(part)}"
        return "another version of this package" if key == "code" else f"{key} {there}, not {value}"
    return "nothing"


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def _code() -> str:
    """What reads a pair, loads a network and measures, with all that they reach."""
    reached = (
        ("eval.external.pairs", "read_pair"),
        ("eval.metrics.networks", "load_network"),
        ("eval.metrics.suite", "measure"),
    )
    return content_key(*(code_digest(module, name) for module, name in reached))[:16]
