"""A number of the tables -> the run, the lock entries, the parameters and the commit it came from;
and a fresh run against the committed one.

Reads reports/results.json, dvc.lock and git; computes nothing anew.
"""

from __future__ import annotations

import difflib
import json
import math
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from os.path import relpath
from pathlib import Path
from typing import Any

from lr_edit.config import Config
from lr_edit.errors import Unfinished, UserError, suggest_name
from lr_edit.tracking.lockfile import (
    Chain,
    Entry,
    chain_from,
    chain_of,
    content_md5,
    parse_lock,
    read_lock,
)  # fmt: skip
from lr_edit.tracking.rows import read_rows
from lr_edit.workspace.paths import checkout, reports_folder
from lr_edit.workspace.storage import read_json

RESULTS = "results.json"
# How far two machines may be apart, in the metric's own unit; 0: not at all. Costs are counted, so
# they agree everywhere; a choice that flips moves means of a hundred tasks by about these.
TOLERANCE: dict[str, float] = {
    "success": 0.02, "iou": 0.01, "hit": 0.02, "score_s": 0.01, "loss": 0.01,
    "clip_whole": 0.2, "clip_edited": 0.2, "clip_directional": 0.01, "clip_i": 0.005,
    "lpips": 0.002, "structure_distance": 0.002, "background_mse": 0.0005,
    "background_psnr": 0.3, "background_ssim": 0.005, "candidates": 0.0, "nfe": 0.0,
}  # fmt: skip
# The order of the pipeline; `first_difference` names the earliest.
ORDER = ("prepare", "candidates", "judge", "train", "edit", "evaluate", "ablate", "report")


def trace(root: Path, config: Config, *, row: str, metric: str) -> dict[str, Any]:
    """Everything one cell came from; `row` is one of the main table, or GROUP/ROW of the ablations,
    by its key or by the title that the tables print.

    UserError for names that the results do not hold.
    """
    row, key, cells = _find(read_json(reports_folder(root) / RESULTS), row, config)
    if metric not in cells:
        raise UserError(f"no metric {metric!r} in {RESULTS}{suggest_name(metric, cells)}")
    from lr_edit.tracking.runs import run_of  # MLflow takes seconds to load

    lock = read_lock(root / "dvc.lock")
    chain, params = _chain(lock, config, key, row)
    keys = next((one.keys for one in read_rows(root) if one.id == row), None)
    return {
        "key": f"{key}.{metric}",
        "value": cells[metric],
        "run": run_of(root, keys) if keys else None,
        "input_key": chain.keys.input,
        "output_key": chain.keys.output,
        "params": params,
        "stages": [asdict(entry) for entry in sorted(chain.entries, key=lambda e: _place(e.name))],
        "commit": _made_in(root, chain),
        "elsewhere": _made_elsewhere(root, chain),
    }


def _find(results: dict[str, Any], asked: str, config: Config) -> tuple[str, str, dict[str, Any]]:
    """(row, key, metric -> cell) of the row with this name or title."""
    rows = {name: (f"{block}.{name}", cells, config.title_of(name))
            for block in ("variants", "ceilings")
            for name, cells in results.get(block, {}).items()}  # fmt: skip
    for group, table in results.get("ablations", {}).items():
        for name, cells in table.items():
            title = config.title_of(name, group=group)
            rows[f"{group}/{name}"] = (f"ablations.{group}.{name}", cells, title)
    titled = [name for name, (*_, title) in rows.items() if _plain(title) == _plain(asked)]
    found = [asked] if asked in rows else titled
    if not found:
        known = [*rows, *(title for *_, title in rows.values())]
        near = {_plain(name): name for name in known}
        raise UserError(f"no row {asked!r} in {RESULTS}{_suggest_row(asked, near, rows)}")
    row, means = found[0], [_means(rows[name][1]) for name in found]
    if "/" in row and any(one != means[0] for one in means):  # a row of the main table is the one
        raise UserError(f"{asked!r} is the title of {', '.join(found)}: say which")
    return row, *rows[row][:2]


def _plain(title: str) -> str:
    """A title as it may be typed: claims begin with a capital, the baseline is marked."""
    return " ".join(title.casefold().removesuffix("(baseline)").split())


def _suggest_row(asked: str, near: dict[str, str], rows: Iterable[str]) -> str:
    """The nearest key or title; without one the keys, since all titles would fill the screen."""
    close = difflib.get_close_matches(_plain(asked), near, n=1)
    return f"; did you mean {near[close[0]]!r}?" if close else suggest_name(asked, rows)


def _means(cells: dict[str, Any]) -> dict[str, float | None]:
    return {metric: cell["mean"] for metric, cell in cells.items()}


def _chain(
    lock: Mapping[str, Entry], config: Config, key: str, row: str
) -> tuple[Chain, dict[str, Any]]:
    """The stages that a row's cells came from, and its parameters."""
    if key.startswith("variants."):
        chain = chain_of(lock, row)
        return chain, chain.row
    if key.startswith("ablations."):
        group, name = row.split("/")
        own = config.ablations[group][name]
        last = ["ablate", f"candidates@{own.proposals}", f"judge@{own.proposals}"]
        return chain_from(lock, row, last=last), own.model_dump(mode="json")
    shared = next(r.proposals for r in config.variants.values() if r.choose in ("net", "table"))
    return chain_from(lock, row, last=[f"judge@{shared}"]), {"proposals": shared}


def _made_elsewhere(root: Path, chain: Chain) -> dict[str, str]:
    """What a row read that another study of the checkout made: path -> `STAGE of FOLDER`.

    Known by its content: weights that a study trained are bundled as a copy.
    """
    top = checkout(root)
    made = {
        out.md5: f"{entry.name} of {lock.parent.relative_to(top)}"
        for lock in sorted(top.glob("studies/*/dvc.lock"))
        if lock.parent != root
        for entry in read_lock(lock).values()
        for out in entry.outs
    }
    read = (dep for entry in chain.entries for dep in entry.deps)
    return {
        dep.path: made[dep.md5]
        for dep in read
        if dep.md5 in made and not dep.path.startswith("artifacts/")
    }


def _made_in(root: Path, chain: Chain) -> str | None:
    """The first commit whose dvc.lock holds what the chain's last stage made; None before one."""
    last = max(chain.entries, key=lambda entry: _place(entry.name))
    found = _git(root, "log", "--reverse", "--format=%H", f"-S{last.outs[0].md5}", "--", "dvc.lock")
    return found.splitlines()[0] if found else None


def as_text(found: dict[str, Any]) -> str:
    """What `trace` found, for a person: one line a stage, digests cut to twelve letters."""
    one = found["value"]
    interval = "" if one["low"] is None else f"  [{one['low']:.6g}, {one['high']:.6g}]"
    value = "missing" if one["mean"] is None else f"{one['mean']:.6g}{interval}"
    lines = [
        f"{found['key']} = {value}, {one['n']} tasks, in {RESULTS}",
        f"run      {found['run'] or _no_run(found['key'])}",
        f"commit   {found['commit'] or 'none yet: these outputs are in no committed dvc.lock'}",
        f"keys     made from {found['input_key'][:12]}, made {found['output_key'][:12]}",
        f"params   {json.dumps(found['params'], sort_keys=True)}",
        "stages",
    ]
    for entry in found["stages"]:
        read = ", ".join(f"{d['path']} {d['md5'][:12]}" for d in entry["deps"] if _is_data(d))
        made = ", ".join(f"{o['path']} {o['md5'][:12]}" for o in entry["outs"])
        lines.append(f"  {entry['name']}\n    read {read}\n    made {made}")
    lines += [f"also\n  {path}: {maker}" for path, maker in found["elsewhere"].items()]
    return "\n".join(lines)


def _no_run(key: str) -> str:
    if key.startswith("ceilings."):
        return "none: a ceiling, the best of the whole table, is no run"
    return "not published in this checkout: lr-edit publish"


def _is_data(item: dict[str, Any]) -> bool:
    return not item["path"].endswith(".py")


def verify(root: Path) -> dict[str, Any]:
    """The study in the workspace against the committed one.

    cells   key -> {committed, fresh, verdict}: "equal", "within tolerance" or "different"
    first   the first stage whose outputs differ from the committed dvc.lock's, or None
    damaged what the workspace holds otherwise than its own dvc.lock says, or lacks: the numbers
            were not made from these files
    lacking stages of the committed dvc.lock that the workspace's own lacks

    Raises Unfinished where nothing was run here: what git brought would be compared with itself.
    """
    own_lock = read_lock(root / "dvc.lock")
    made = {out.path: out.md5 for one in own_lock.values() for out in one.outs}
    own = [path for path in made if path.startswith("artifacts/")]
    if not any((root / path).exists() for path in own):
        raise Unfinished(f"nothing was run in {root}: `make repro` first, then there is something "
                         "to compare with the committed study")  # fmt: skip
    results = reports_folder(root) / RESULTS
    committed = _git(root, "show", f"HEAD:./{relpath(results, root)}")
    lock = _git(root, "show", "HEAD:./dvc.lock")
    if committed is None or lock is None:
        raise UserError(f"{root} has no committed study: {RESULTS} and dvc.lock are compared "
                        "with those of HEAD, in a git checkout")  # fmt: skip
    fresh = dict(_cells(read_json(results)))
    cells = {}
    for key, value in _cells(json.loads(committed)):
        now = fresh.pop(key, None)
        verdict = _verdict(key.rsplit(".", 1)[1], value, now)
        cells[key] = {"committed": value, "fresh": now, "verdict": verdict}
    for key, now in fresh.items():
        cells[key] = {"committed": None, "fresh": now, "verdict": "different"}
    then = parse_lock(lock, root / "dvc.lock")
    damaged = [path for path, md5 in made.items() if not _holds(root / path, md5)]
    first = first_difference(then, own_lock)
    return {
        "cells": cells, "first": first, "damaged": damaged, "tolerance": TOLERANCE,
        "lacking": sorted({*then} - {*own_lock}),
    }  # fmt: skip


def differs(found: dict[str, Any]) -> bool:
    """Whether what `verify` found is not the committed study, or is not what the lock says."""
    verdicts = [one["verdict"] for one in found["cells"].values()]
    wrong = found["damaged"] or found["lacking"]
    return bool(wrong) or not verdicts or "different" in verdicts


def _holds(path: Path, md5: str) -> bool:
    return path.exists() and content_md5(path) == md5


def verdict(found: dict[str, Any]) -> str:
    """What `verify` found, for a person: counts, the cells that differ, the first stage."""
    kinds = [one["verdict"] for one in found["cells"].values()]
    names = ("equal", "within tolerance", "different")
    lines = [", ".join(f"{kinds.count(name)} {name}" for name in names)]
    for key, one in found["cells"].items():
        if one["verdict"] != "equal":
            metric = key.rsplit(".", 1)[1]
            lines.append(
                f"  {key}: {one['committed']} committed, {one['fresh']} fresh, {one['verdict']} "
                f"(tolerance {TOLERANCE.get(metric, 0.0):g})"
            )
    first = found["first"]
    lines.append(
        f"first stage whose outputs differ: {first}" if first else "every stage's outputs are equal"
    )
    lines += [f"not what dvc.lock says: {path}; run `dvc repro`" for path in found["damaged"]]
    lines += [f"dvc.lock lacks the stage {name}; run `dvc repro`" for name in found["lacking"][:5]]
    return "\n".join(lines)


def _cells(results: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Every mean of the main table and of the ablations, by key."""
    for block in ("variants", "ceilings"):
        for name, row in results.get(block, {}).items():
            for metric, one in row.items():
                yield f"{block}.{name}.{metric}", one["mean"]
    for group, rows in results.get("ablations", {}).items():
        for name, row in rows.items():
            for metric, one in row.items():
                yield f"ablations.{group}.{name}.{metric}", one["mean"]


def _verdict(metric: str, committed: float | None, fresh: float | None) -> str:
    if committed == fresh:
        return "equal"
    if committed is None or fresh is None:
        return "different"
    near = math.isclose(committed, fresh, rel_tol=0.0, abs_tol=TOLERANCE.get(metric, 0.0))
    return "within tolerance" if near else "different"


def first_difference(then: Mapping[str, Entry], now: Mapping[str, Entry]) -> str | None:
    """The earliest stage of the pipeline whose outputs are not the same in both locks."""

    for name in sorted({*then, *now}, key=_place):
        if name not in then or name not in now or then[name].outs != now[name].outs:
            return name
    return None


def _place(name: str) -> tuple[int, str]:
    """Where a stage stands in the pipeline."""
    stage = name.split("@")[0]
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), name)


def _git(root: Path, *words: str) -> str | None:
    """What git says, or None where there is no repository or no such thing in it."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None
