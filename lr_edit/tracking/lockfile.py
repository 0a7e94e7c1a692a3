"""dvc.lock, read as plain YAML -> what every variant was made from, and whether it still is.

A variant's chain is `train@V`, `edit@V`, `evaluate@V` and every stage whose outputs they read. Its
input key covers what came from outside (parameters, commands, leaf dependencies), its output key
what the chain wrote: equal input keys with different output keys show a stage that is not
deterministic. DVC writes a stage's entry when the stage ends, so that a stage finds all earlier
stages in the file, and its own entry of an earlier run: no key may depend on the reader's entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lr_edit.errors import UserError
from lr_edit.files import parse_yaml, read_text, read_yaml
from lr_edit.workspace.storage import content_key

STAGES = ("train", "edit", "evaluate")  # the stages of one variant


@dataclass(frozen=True)
class LockedFile:
    """A dependency or an output: a path below the root, its content's md5, its size in bytes."""

    path: str
    md5: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One stage of dvc.lock. `params` maps a file to its dotted keys and their values."""

    name: str
    cmd: str
    deps: tuple[LockedFile, ...]
    outs: tuple[LockedFile, ...]
    params: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ResultKeys:
    """A result's identity: what it was made from, and what came out."""

    input: str
    output: str


@dataclass(frozen=True)
class Chain:
    """Every lock entry that a variant's results came from, by name."""

    variant: str
    entries: tuple[Entry, ...]

    @cached_property
    def keys(self) -> ResultKeys:
        """sha256 over what came from outside, and sha256 over everything the chain wrote."""
        made = _writers(self.entries)
        leaves = [
            [e.name, e.cmd, e.params, [_pair(d) for d in e.deps if not _writer(made, d.path)]]
            for e in self.entries
        ]
        outs = [[e.name, [_pair(out) for out in e.outs]] for e in self.entries]
        return ResultKeys(content_key(leaves), content_key(outs))

    @cached_property
    def params(self) -> dict[str, Any]:
        """All parameters of the chain, nested as in params.yaml."""
        nested: dict[str, Any] = {}
        for entry in self.entries:
            for rows in entry.params.values():
                for key, value in rows.items():
                    _plant(nested, key.split("."), value)
        return nested

    @property
    def row(self) -> dict[str, Any]:
        """The variant's own parameters: the base, and what it changes of it."""
        own = (self.params.get("variants") or {}).get(self.variant)
        return {**(self.params.get("base") or {}), **(own or {})}


def read_lock(path: Path) -> Mapping[str, Entry]:
    """Every stage of a dvc.lock, by name."""
    return parse_lock(read_text(path, cure="run `dvc repro` in a checkout first"), path)


@lru_cache(maxsize=16)
def parse_lock(text: str, path: Path) -> Mapping[str, Entry]:
    """The same from a lock's text, parsed once; `path` is what errors name."""
    stages = parse_yaml(text, path).get("stages") or {}
    try:
        return MappingProxyType({name: _entry(name, row) for name, row in stages.items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{path} is not a dvc.lock: `git checkout` it, or run `dvc repro`"
        ) from None


def read_study(root: Path) -> list[Chain]:
    """A chain for every variant of params.yaml that has been run, in that file's order.

    The lock also keeps stages that are long deleted: they are nobody's. UserError if there are
    variants, and none was run.
    """
    lock = read_lock(root / "dvc.lock")
    names = read_yaml(root / "params.yaml").get("variants") or {}
    done = [name for name in names if all(f"{stage}@{name}" in lock for stage in STAGES)]
    if names and not done:
        raise UserError("dvc.lock has no finished variant of params.yaml: run `dvc repro` first")
    return [chain_of(lock, name) for name in done]


def chain_of(lock: Mapping[str, Entry], variant: str) -> Chain:
    """The variant's stages and all that they lead to; UserError if it has not been run."""
    return chain_from(lock, variant, last=[f"{stage}@{variant}" for stage in STAGES])


def chain_from(lock: Mapping[str, Entry], name: str, *, last: list[str]) -> Chain:
    """The stages in `last` and all that they lead to, under a name."""
    writers = _writers(lock.values())
    todo, found = list(last), {}
    while todo:
        stage = todo.pop()
        if stage not in lock:
            raise UserError(f"dvc.lock has no {stage}: run `dvc repro` first")
        if stage not in found:
            found[stage] = lock[stage]
            todo += [w.name for dep in lock[stage].deps if (w := _writer(writers, dep.path))]
    return Chain(name, tuple(found[stage] for stage in sorted(found)))


def lock_digest(chains: list[Chain]) -> str:
    """sha256 over all chains of a study: which study a run was published with."""
    return content_key([[c.variant, c.keys.input, c.keys.output] for c in chains])


def difference(root: Path, chains: list[Chain], *, limit: int = 2**26) -> str | None:
    """The first thing in the workspace that is not what the lock says, in words, or None.

    Looks at parameters, and at the content of dependencies and outputs up to `limit` bytes.
    A file that is absent differs in nothing: a fresh clone holds only what it has pulled.
    """
    files: dict[str, dict[str, Any]] = {}
    seen: set[LockedFile] = set()
    for entry in {e.name: e for chain in chains for e in chain.entries}.values():
        for name, rows in entry.params.items():
            files.setdefault(name, read_yaml(root / name))
            for key, value in rows.items():
                if found := _changed(_dig(files[name], key), value, key):
                    where, now, then = found
                    if then is None:
                        return f"{name} has {where}, which {entry.name} has not been run with"
                    return f"{name} says {where} = {now!r}, but {entry.name} ran with {then!r}"
        for item in dict.fromkeys(entry.deps + entry.outs):
            path = root / item.path
            if item in seen or item.size > limit or not path.exists():
                continue
            seen.add(item)
            if content_md5(path) != item.md5:
                return f"{item.path} is not what {entry.name} left in dvc.lock"
    return None


def content_md5(path: Path) -> str:
    """DVC's name for a file's content, or for a folder's: the md5 of its sorted listing."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted((p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file())
    rows = [{"md5": content_md5(p), "relpath": name} for name, p in files]
    listing = json.dumps(rows).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _entry(name: str, row: dict[str, Any]) -> Entry:
    deps, outs = (tuple(_items(row.get(part) or [])) for part in ("deps", "outs"))
    cmd = row["cmd"] if isinstance(row["cmd"], str) else "\n".join(row["cmd"])
    params = row.get("params") or {}
    return Entry(name, cmd, deps, outs, {file: dict(rows) for file, rows in params.items()})


def _items(rows: list[dict[str, Any]]) -> list[LockedFile]:
    files = [LockedFile(row["path"], row.get("md5", ""), row.get("size", 0)) for row in rows]
    for one in files:
        if [type(part) for part in (one.path, one.md5, one.size)] != [str, str, int]:
            raise TypeError(one)
    return files


def _writers(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {out.path: entry for entry in entries for out in entry.outs}


def _writer(writers: dict[str, Entry], path: str) -> Entry | None:
    """Who wrote `path`, or a folder above it, or something below it."""
    if path in writers:
        return writers[path]
    near = (w for out, w in writers.items() if f"{path}/".startswith(f"{out}/"))
    below = (w for out, w in writers.items() if f"{out}/".startswith(f"{path}/"))
    return next(near, None) or next(below, None)


def _pair(item: LockedFile) -> list[str]:
    return [item.path, item.md5]


def _plant(nested: dict[str, Any], keys: list[str], value: Any) -> None:
    *above, last = keys
    for key in above:
        nested = nested.setdefault(key, {})
    old, value = nested.get(last), deepcopy(value)  # the entry's own is no place to plant in
    nested[last] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value


def _dig(params: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        params = params.get(key) if isinstance(params, dict) else None
    return params


def _changed(now: Any, then: Any, where: str) -> tuple[str, Any, Any] | None:
    """(where, now, then) of the first leaf that differs."""
    if isinstance(now, dict) and isinstance(then, dict):
        keys = [*then, *(key for key in now if key not in then)]
        pairs = (_changed(now.get(key), then.get(key), f"{where}.{key}") for key in keys)
        return next((pair for pair in pairs if pair), None)
    return None if now == then else (where, now, then)
