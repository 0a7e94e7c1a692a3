"""A fresh run of the study against the committed one: cells, outputs and their digests.

Reads reports/results.json, dvc.lock and git; computes nothing anew.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import Any

from lr_edit.errors import Unfinished, UserError, shorten
from lr_edit.tracking.lockfile import (
    Chain,
    Entry,
    chain_from,
    content_md5,
    difference,
    parse_lock,
    read_lock,
    read_study,
)
from lr_edit.tracking.rows import other_studies
from lr_edit.tracking.trace import RESULTS, find_altered, git, place, read_results
from lr_edit.workspace.paths import reports_folder

# How far two machines may be apart, in the metric's own unit; 0: not at all. Costs are counted, so
# they agree everywhere; a choice that flips moves means of a hundred tasks by about these.
TOLERANCE: dict[str, float] = {
    "success": 0.02, "iou": 0.01, "hit": 0.02, "score_s": 0.01, "loss": 0.01,
    "clip_whole": 0.2, "clip_edited": 0.2, "clip_directional": 0.01, "clip_i": 0.005,
    "lpips": 0.002, "structure_distance": 0.002, "background_mse": 0.0005,
    "background_psnr": 0.3, "background_ssim": 0.005, "candidates": 0.0, "nfe": 0.0,
}  # fmt: skip
# What `dvc pull` does not bring, and no cell is read off: pictures, and what was published here.
APART = ("artifacts/candidates/", "artifacts/receipt.json")


def verify(root: Path) -> dict[str, Any]:
    """The study in the workspace against the committed one.

    cells   key -> {committed, fresh, verdict}: "equal", "within tolerance", "different", or
            "new", of a row that is in the fresh study alone
    first   the first stage whose outputs differ from the committed dvc.lock's, or None
    damaged what the workspace holds otherwise than its own dvc.lock says, or lacks: the numbers
            were not made from these files; of a checkout's other studies, what pages are made from
    lacking stages of the committed dvc.lock that the workspace's own lacks
    made_from  a parameter, data or weights that are not those that the study was made from, in
            words, or None

    Raises Unfinished where nothing was run here: what git brought would be compared with itself.
    """
    own_lock = read_lock(root / "dvc.lock")
    made = {out.path: out.md5 for one in own_lock.values() for out in one.outs}
    own = [path for path in made if path.startswith("artifacts/")]
    if not any((root / path).exists() for path in own):
        raise Unfinished(f"nothing was run in {root}: `make repro` first, then there is something "
                         "to compare with the committed study")  # fmt: skip
    results = reports_folder(root) / RESULTS
    committed = git(root, "show", f"HEAD:./{relpath(results, root)}")
    lock = git(root, "show", "HEAD:./dvc.lock")
    if committed is None or lock is None:
        raise UserError(f"{root} has no committed study: {RESULTS} and dvc.lock are compared "
                        f"with those of HEAD, in a git checkout{_git_says(root)}")  # fmt: skip
    fresh = dict(_cells(read_results(results)))
    cells = {}
    for key, value in _cells(json.loads(committed)):
        now = fresh.pop(key, None)
        verdict = _verdict(key.rsplit(".", 1)[1], value, now)
        cells[key] = {"committed": value, "fresh": now, "verdict": verdict}
    for key, now in fresh.items():
        cells[key] = {"committed": None, "fresh": now, "verdict": "new"}
    then = parse_lock(lock, root / "dvc.lock")
    damaged = [path for path, md5 in made.items() if not _holds(root / path, md5)
               and not (path.startswith(APART) and not (root / path).exists())]  # fmt: skip
    damaged += [relpath(path, root) for one in other_studies(root) for path in find_altered(one)]
    first = first_difference(then, own_lock)
    return {
        "cells": cells, "first": first, "damaged": damaged, "tolerance": TOLERANCE,
        "made_from": _made_from_others(root, own_lock), "lacking": sorted({*then} - {*own_lock}),
    }  # fmt: skip


def _made_from_others(root: Path, lock: Mapping[str, Entry]) -> str | None:
    """The first input that is not what the lock says, code apart: an edit of it changes no number
    before it is run."""
    last = [name for name in ("report", "race", "ablate") if name in lock]
    chains = [*read_study(root), chain_from(lock, "study", last=last)]
    entries = [
        replace(one, outs=(), deps=tuple(d for d in one.deps if not d.path.endswith(".py")))
        for one in {one.name: one for chain in chains for one in chain.entries}.values()
    ]
    return difference(root, [Chain("study", tuple(entries))], limit=2**63)


def _git_says(root: Path) -> str:
    """Why git reads nothing here, in its own words, as where a checkout is somebody else's."""
    done = subprocess.run(["git", "log", "-1", "--", "dvc.lock"], cwd=root, capture_output=True,
                          text=True, check=False)  # fmt: skip
    said = done.stderr.strip().splitlines()[:1] if done.returncode else []
    return f" (git says: {shorten(said[0])[1:-1]})" if said else ""


def differs(found: dict[str, Any]) -> bool:
    """Whether what `verify` found is not the committed study, or is not what the lock says."""
    verdicts = [one["verdict"] for one in found["cells"].values()]
    wrong = found["damaged"] or found["lacking"] or found["made_from"]
    return bool(wrong) or not verdicts or "different" in verdicts


def _holds(path: Path, md5: str) -> bool:
    return path.exists() and content_md5(path) == md5


def verdict(found: dict[str, Any]) -> str:
    """What `verify` found, for a person: counts, the cells that differ, the first stage."""
    kinds = [one["verdict"] for one in found["cells"].values()]
    names = ("equal", "within tolerance", "different")
    lines = [", ".join(f"{kinds.count(name)} {name}" for name in names)]
    added = [key.rsplit(".", 1)[0] for key, one in found["cells"].items()
             if one["verdict"] == "new"]  # fmt: skip
    lines += [f"new, with nothing to compare: {row}" for row in dict.fromkeys(added)]
    for key, one in found["cells"].items():
        if one["verdict"] not in ("equal", "new"):
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
    lines += [f"{found['made_from']}: run `dvc repro`"] if found["made_from"] else []
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

    for name in sorted({*then, *now}, key=place):
        if name not in then or name not in now or then[name].outs != now[name].outs:
            return name
    return None
