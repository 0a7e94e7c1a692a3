"""Rows of `ablations` that need not be made anew.

Two places have them. The cache holds every row that was finished here, also of a run that was
stopped. DVC holds what the run that dvc.lock records wrote, as after `dvc pull`: where nothing but
`ablations` has changed since, its rows stand, and one more row costs one row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lr_edit.config import Config
from lr_edit.files import read_json, read_yaml, write_json
from lr_edit.frozen.weights import folder_of, resolve
from lr_edit.tracking.lockfile import Chain, content_md5, difference, read_lock
from lr_edit.variant import Ablation
from lr_edit.workspace.cache import Cache
from lr_edit.workspace.code import code_digest
from lr_edit.workspace.paths import cache_folder, checkout
from lr_edit.workspace.storage import content_key, folder_digest

OUTPUT = "artifacts/ablations.json"
_STORES = (".dvc/cache/files/md5", "dvcstore/files/md5")  # as DVC keeps a file: by its md5
_ROW = "row.json"

Found = dict[str, Any]  # what a row came to


class KeptRows:
    """The rows of one study that are finished; others are made, and kept.

    Args:
        root: The study's folder.
        config: Its parameters, as the stage was given them.
        make: What makes a row; with all that it reaches it is part of every key.
    """

    def __init__(self, root: Path, config: Config, *, make: Callable[..., Found]) -> None:
        self._root, self._cache = root, Cache(cache_folder(root), "ablations")
        self._recorded = _recorded(root, config)
        self._digests: dict[Path, str] = {}
        self._anchor_net = getattr(config.models, "anchor_net", None)
        shared = config.model_copy(update={"ablations": {}}).model_dump(mode="json")
        self._shared = [code_digest(make.__module__, make.__name__), shared]

    def find(self, row: Ablation, make: Callable[[], Found]) -> Found:
        """What a row came to: out of DVC or the cache, else made."""
        if row in self._recorded:
            return self._recorded[row]
        key = content_key(self._shared, row.model_dump(mode="json"), self._inputs(row))
        with tempfile.TemporaryDirectory() as name:
            place = Path(name) / _ROW
            if not self._cache.restore(key, place.with_name):
                write_json(place, make())
                self._cache.keep(key, {_ROW: place})
            found: Found = read_json(place)
            return found

    def _inputs(self, row: Ablation) -> list[str]:
        """The digests of all that a row reads."""
        folders = [self._root / "artifacts/tasks"]
        folders += [self._root / "artifacts/tables" / one for one in (*row.previews, row.proposals)]
        if row.scope == "dataset" and self._anchor_net:
            nets = folder_of(resolve(self._root, self._anchor_net.name))
            folders += [nets] if nets else []
        for folder in folders:
            if folder not in self._digests:
                self._digests[folder] = folder_digest(folder)
        return [self._digests[folder] for folder in folders]


def _recorded(root: Path, config: Config) -> dict[Ablation, Found]:
    """The rows that the run which dvc.lock records wrote; none where something else than the list
    of rows is not as it was then, or what it wrote is not to be had."""
    lock = root / "dvc.lock"
    entry = read_lock(lock).get("ablate") if lock.is_file() else None
    if entry is None or [out.path for out in entry.outs] != [OUTPUT]:
        return {}
    params = {
        file: {key: value for key, value in rows.items() if key != "ablations"}
        for file, rows in entry.params.items()
    }
    asked = Chain("ablate", (replace(entry, params=params, outs=()),))
    if difference(root, [asked], limit=2**63) is not None:
        return {}
    md5 = entry.outs[0].md5
    stores = [checkout(root) / store / md5[:2] / md5[2:] for store in _STORES]
    whole = next((one for one in stores if one.is_file() and content_md5(one) == md5), None)
    if whole is None:
        return {}
    then, now = entry.params["params.yaml"]["ablations"], read_yaml(root / "params.yaml")
    return {
        config.ablations[group][name]: found
        for group, rows in read_json(whole).items()
        for name, found in rows.items()
        # both state a row by what it changes of `base`, which is as it was
        if then[group][name] == now["ablations"].get(group, {}).get(name)
    }
