"""A number of the tables -> the run, the lock entries, the parameters and the commit it came from.

Reads reports/results.json, dvc.lock and git; computes nothing anew.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import Any

from lr_edit.config import Config
from lr_edit.errors import Notice, UserError, suggest_name
from lr_edit.tracking.lockfile import (
    Chain,
    Entry,
    chain_from,
    chain_of,
    content_md5,
    read_lock,
)  # fmt: skip
from lr_edit.tracking.rows import read_rows
from lr_edit.variant import Ablation
from lr_edit.workspace.paths import checkout, reports_folder
from lr_edit.workspace.storage import read_json

RESULTS = "results.json"
# Of a study's reports, what its pages are made from.
SOURCES = (RESULTS, "edits.jsonl", "gallery", "training.json", "race.csv")
# The order of the pipeline; `first_difference` names the earliest.
ORDER = ("prepare", "candidates", "judge", "train", "edit", "evaluate", "ablate", "report")


def trace(root: Path, config: Config, *, row: str, metric: str) -> dict[str, Any]:
    """Everything one cell came from; `row` is one of the main table, or GROUP/ROW of the ablations,
    by its key or by the title that the tables print.

    UserError for names that the results do not hold.
    """
    row, key, cells = _find(read_results(reports_folder(root) / RESULTS), row, config)
    if metric not in cells:
        raise UserError(f"no metric {metric!r} in {RESULTS}{suggest_name(metric, cells)}")
    from lr_edit.tracking.runs import run_of  # MLflow takes seconds to load

    lock = read_lock(root / "dvc.lock")
    chain, params = _chain(lock, config, key, row)
    if reports_folder(root) / RESULTS in find_altered(root):
        warnings.warn(f"{RESULTS} is not what dvc.lock says: this number is of another origin, run "
                      "`dvc repro`", Notice, stacklevel=2)  # fmt: skip
    keys = next((one.keys for one in read_rows(root) if one.id == row), None)
    return {
        "key": f"{key}.{metric}",
        "value": cells[metric],
        "run": run_of(root, keys) if keys else None,
        "input_key": chain.keys.input,
        "output_key": chain.keys.output,
        "params": params,
        "stages": [asdict(entry) for entry in sorted(chain.entries, key=lambda e: place(e.name))],
        "commit": _made_in(root, chain),
        "elsewhere": _made_elsewhere(root, chain),
    }


def read_results(path: Path) -> dict[str, Any]:
    """The report's numbers. UserError where the file holds no tables."""
    found = read_json(path)
    tables: list[Any] = [None]
    if isinstance(found, dict) and isinstance(found.get("ablations", {}), dict):
        tables = [found.get(block, {}) for block in ("variants", "ceilings")]
        tables += found.get("ablations", {}).values()
    if not all(map(_is_table, tables)):
        raise UserError(f"{path} holds no tables: `git checkout` it, or run `dvc repro report`")
    return dict(found)


def _is_table(table: Any) -> bool:
    """Row -> metric -> a cell with a mean, which is a number or missing."""
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        return False
    cells = (cell for row in table.values() for cell in row.values())
    return all(
        isinstance(cell, dict) and type(cell.get("mean", "")) in (int, float, NoneType)
        for cell in cells
    )


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
        own = _row_of(lock, config, group, name)
        last = ["ablate", f"candidates@{own.proposals}", f"judge@{own.proposals}"]
        return chain_from(lock, row, last=last), own.model_dump(mode="json")
    shared = next(r.proposals for r in config.variants.values() if r.choose in ("net", "table"))
    return chain_from(lock, row, last=[f"judge@{shared}"]), {"proposals": shared}


def _row_of(lock: Mapping[str, Entry], config: Config, group: str, name: str) -> Ablation:
    """A row as `ablate` ran with it, which params.yaml may say otherwise by now."""
    ran = chain_from(lock, name, last=["ablate"]).params
    row = (ran.get("ablations") or {}).get(group, {}).get(name)
    if row is None:
        return config.ablations[group][name]
    return Ablation.model_validate({**(ran.get("base") or {}), **row})


def _made_elsewhere(root: Path, chain: Chain) -> dict[str, str]:
    """What a row read that another study of the checkout made: path -> `STAGE of FOLDER`.

    Known by its content: weights that a study trained are bundled as a copy.
    """
    top = checkout(root)
    made = {
        out.md5: f"{entry.name} of {lock.parent.relative_to(top)}"
        for lock in sorted(top.glob("studies/*/dvc.lock"))
        if lock.parent != root
        for entry in _read_other(lock).values()
        for out in entry.outs
    }
    read = (dep for entry in chain.entries for dep in entry.deps)
    return {
        dep.path: made[dep.md5]
        for dep in read
        if dep.md5 in made and not dep.path.startswith("artifacts/")
    }


def find_altered(root: Path) -> list[Path]:
    """Of the reports' files that pages are made from, those that are no more what their stages
    left, as far as a lock and the files are there."""
    if not (root / "dvc.lock").is_file():
        return []
    made: dict[Path, set[str]] = {}
    for entry in _read_other(root / "dvc.lock").values():
        for out in entry.outs:
            made.setdefault((root / out.path).resolve(), set()).add(out.md5)
    paths = [reports_folder(root) / name for name in SOURCES]
    known = [path for path in paths if path.exists() and path.resolve() in made]
    return [path for path in known if content_md5(path) not in made[path.resolve()]]


def _read_other(path: Path) -> Mapping[str, Entry]:
    """A lock, another study's mostly; one that cannot be read is said, and stops nothing else."""
    try:
        return read_lock(path)
    except UserError as error:
        warnings.warn(str(error), Notice, stacklevel=2)
        return {}


def _made_in(root: Path, chain: Chain) -> str | None:
    """The first commit whose dvc.lock holds what the chain's last stage made; None before one."""
    last = max(chain.entries, key=lambda entry: place(entry.name))
    found = git(root, "log", "--reverse", "--format=%H", f"-S{last.outs[0].md5}", "--", "dvc.lock")
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
    return "none found in this checkout's mlflow.db: `lr-edit publish` brings it"


def _is_data(item: dict[str, Any]) -> bool:
    return not item["path"].endswith(".py")


def place(name: str) -> tuple[int, str]:
    """Where a stage stands in the pipeline."""
    stage = name.split("@")[0]
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), name)


def git(root: Path, *words: str) -> str | None:
    """What git says, or None where there is no repository or no such thing in it."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None
