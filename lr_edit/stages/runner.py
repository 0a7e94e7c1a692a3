"""One stage of a study: its outputs out of the cache where nothing that they depend on changed,
else made; and how long that took.

What it depends on stands in the study's dvc.yaml. A stage is given the parameters that are named
there and no others, so that it cannot read what is in no key.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.files import empty_folder, read_yaml
from lr_edit.stages import ITEMS, OWN_CACHE, TABLE
from lr_edit.workspace.cache import Cache
from lr_edit.workspace.code import code_digest
from lr_edit.workspace.parameters import keep_parameters
from lr_edit.workspace.paths import cache_folder, checkout
from lr_edit.workspace.source import PACKAGES
from lr_edit.workspace.storage import content_key, folder_digest
from lr_edit.workspace.times import write_time

_FILLED_IN = re.compile(r"\$\{([\w.-]+)\}")


@dataclass(frozen=True)
class Recipe:
    """A stage as dvc.yaml has it, its placeholders filled in: names of parameters, and paths as
    seen from the study. Code is not among the inputs: its digest is more exact."""

    parameters: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def run_stage(
    root: Path,
    config: Config,
    *,
    stage: str,
    item: str | None,
    make: Callable[[Config], int | None],
) -> None:
    """Restore a stage's outputs, or have them made and keep them.

    `make` says how many items it made, where a stage keeps its items itself.
    """
    label = f"{stage}@{item}" if item else stage
    recipe = read_recipe(root, config, stage=stage, item=item)
    config = keep_parameters(config, recipe.parameters) if recipe else config
    cache, key = Cache(cache_folder(root), "stages"), None
    if recipe and stage not in OWN_CACHE and all((root / one).exists() for one in recipe.inputs):
        key = _key(root, config, recipe, stage=stage)
    restored = bool(recipe and key and _restore(root, recipe, cache, key)) or make(config) == 0
    if restored:
        sys.stderr.write(f"{label}: nothing changed, outputs restored\n")
    elif recipe and key:
        cache.keep(key, _files(root, recipe))
    write_time(root, label, restored=restored)


def read_recipe(root: Path, config: Config, *, stage: str, item: str | None) -> Recipe | None:
    """A stage of the study's pipeline; None where the study has none."""
    path = root / "dvc.yaml"
    if not path.exists() and checkout(root) != root:  # written where the study is to run
        raise UserError(f"{root} has no dvc.yaml yet: run `lr-edit study {root.name}`")
    stages = read_yaml(path)["stages"] if path.is_file() and path.stat().st_size else {}
    if stage not in stages:
        return None
    recipe = stages[stage].get("do", stages[stage])
    table = {"profile": config.profile, "key": item}
    if item and ITEMS[stage] == "variant":
        table["item.proposals"] = config.variant(item).proposals
    if config.dataset_net:
        table["dataset_net.proposals"] = config.dataset_net.proposals

    def listed(*keys: str) -> tuple[str, ...]:
        entries = [entry for key in keys for entry in recipe.get(key, [])]
        return tuple(
            _FILLED_IN.sub(lambda found: str(table[found.group(1)]), name)
            for entry in entries
            for name in _names(entry, parameters=keys == ("params",))
        )

    inputs = tuple(path for path in listed("deps") if not _is_code(path))
    return Recipe(listed("params"), inputs, listed("outs", "metrics", "plots"))


def _names(entry: str | dict[str, Any], *, parameters: bool) -> list[str]:
    """A name, or the names that a mapping says more about: paths, or a file's parameters."""
    if isinstance(entry, str):
        return [entry]
    return [name for names in entry.values() for name in names] if parameters else list(entry)


def _is_code(path: str) -> bool:
    """Whether a path that may lead up to the checkout first is a file of the packages."""
    return next((part for part in PurePosixPath(path).parts if part != ".."), "") in PACKAGES


def _key(root: Path, config: Config, recipe: Recipe, *, stage: str) -> str:
    """Everything that a stage's outputs depend on, and where they go."""
    return content_key(
        code_digest(TABLE[stage], "run"),
        config.model_dump(mode="json"),
        [[path, folder_digest(root / path)] for path in recipe.inputs],
        recipe.outputs,
    )


def _restore(root: Path, recipe: Recipe, cache: Cache, key: str) -> bool:
    if not cache.has(key):
        return False
    for path in (root / name for name in recipe.outputs):
        if path.is_dir():
            empty_folder(path)
    return cache.restore(key, root.joinpath)


def _files(root: Path, recipe: Recipe) -> dict[str, Path]:
    """The files of a stage's outputs, by their paths as seen from the study."""
    return {
        f"{name}/{path.relative_to(root / name)}" if path != root / name else name: path
        for name in recipe.outputs
        for path in (root / name, *(root / name).rglob("*"))
        if path.is_file()
    }
