"""Try faults and write reports/reliability.md: `make faults`, some tens of minutes.

python -m tests.faults [GROUP ...] [--kills N] [--publishes N] [--cases N] [--edits N] [--seed N]

A group's result is kept as soon as it is there: name those that are left to go on, or to try again.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from lr_edit.execution.environment import pin_environment

pin_environment(one_thread=True)  # before torch is imported

from lr_edit.workspace.storage import read_json, write_json  # noqa: E402
from tests.faults import inputs, kills, machine, places, soak, together, trials  # noqa: E402
from tests.faults.trials import Line  # noqa: E402
from tests.source_tree import ROOT  # noqa: E402

PAGE, NUMBERS = ROOT / "reports/reliability.md", ROOT / "reports/reliability.json"
Trial = Callable[[Path, argparse.Namespace, random.Random], Iterator[Line]]


@cache
def base(top: Path) -> Path:
    """The undisturbed study, made when a group asks for it."""
    return trials.make_base(top)


def kill_stages(top: Path, args: argparse.Namespace, rng: random.Random) -> Iterator[Line]:
    """kill -9 of every stage."""
    for stage in trials.STAGES:
        yield kills.kill_stage(base(top), stage, times=args.kills, rng=rng)


def try_inputs(top: Path, args: argparse.Namespace, rng: random.Random) -> Iterator[Line]:
    """Bad input by the thousand."""
    inputs.prepare_areas(top)
    verdicts, bad = inputs.try_inputs(top, count=args.cases, rng=rng)
    yield from areas(verdicts, bad)


GROUPS: dict[str, Trial] = {
    "kills": kill_stages,
    "publish": lambda top, args, rng: iter(
        [kills.kill_first_publish(top, times=args.publishes, rng=rng)]
    ),
    "disk": lambda top, _args, _rng: iter(machine.try_full_disk(base(top))),
    "memory": lambda top, _args, _rng: iter(machine.try_full_memory(base(top))),
    "cache": lambda top, _args, rng: iter(machine.try_removed_and_flipped_cache(base(top), rng)),
    "store": lambda top, _args, rng: iter([machine.try_flipped_store(top, rng)]),
    "read-only": lambda top, _args, _rng: iter(machine.try_read_only(base(top))),
    "neighbours": lambda top, _args, _rng: iter(machine.try_concurrently(base(top))),
    "repros": lambda top, _args, _rng: iter([together.try_two_repros(top)]),
    "mlflow": lambda top, _args, _rng: iter(machine.try_mlflow(top)),
    "dying": lambda top, _args, rng: iter([together.try_dying_mlflow(top, times=8, rng=rng)]),
    "places": lambda top, _args, _rng: places.try_places(top),
    "inputs": try_inputs,
    "suite": lambda _top, _args, _rng: iter(together.try_suites()),
    "soak": lambda top, args, _rng: iter([soak.edit_often(top, times=args.edits)]),
}


def areas(verdicts: Counter[str], bad: list[str]) -> Iterator[Line]:
    """One line an area: how many of its cases were read, how many refused, and what ended badly."""
    for area in sorted({key.split(":")[0] for key in verdicts}):
        read, refused = (verdicts[f"{area}: {how}"] for how in ("read", "refused"))
        tried = sum(n for key, n in verdicts.items() if key.startswith(f"{area}:"))
        said = [line.split(", ", 1)[1] for line in bad if line.startswith(f"{area},")]
        note = "; ".join([f"{read} read, {refused} refused in a sentence", *said])
        yield Line(f"bad input: `{area}`", tried, read + refused, tried - read - refused, note)


def page(found: dict[str, dict[str, Any]]) -> str:
    """The report, from what every group left."""
    lines = [Line(**row) for name in GROUPS if name in found for row in found[name]["lines"]]
    tried, lost = sum(line.tried for line in lines), sum(line.lost for line in lines)
    head = [
        "# Reliability",
        "",
        "Written by `make faults`. A trial survives if the next run ends well with the bytes of an "
        "undisturbed one, or if what is wrong is said in one sentence.",
        "",
        f"**{tried:,} tried, {lost} lost.**",
        "",
        "| fault | tried | survived | lost | |",
        "|---|---:|---:|---:|---|",
    ]
    rows = [f"| {x.what} | {x.tried:,} | {x.survived:,} | {x.lost} | {x.note} |" for x in lines]
    made = [
        f"| {name} | {one['machine']} | {one['seconds'] / 60:.1f} | {one['seed']} |"
        for name, one in found.items()
    ]
    table = ["", "| group | machine | minutes, beside other work | seed |", "|---|---|---:|---:|"]
    left = [name for name in GROUPS if name not in found]
    tail = ["", f"Not tried: {', '.join(left)}."] if left else []
    return "\n".join([*head, *rows, *table, *made, *tail]) + "\n"


def main() -> None:
    """Try, keep, write, and end with 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    counts = {"kills": 20, "publishes": 40, "cases": 14_000, "edits": 500, "seed": 0}
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    args = parser.parse_args()
    if unknown := [name for name in args.groups if name not in GROUPS]:
        parser.error(f"no group {unknown[0]!r}: there are {', '.join(GROUPS)}")
    found = read_json(NUMBERS) if NUMBERS.is_file() else {}
    host = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    with tempfile.TemporaryDirectory() as folder:
        for name in args.groups or GROUPS:
            start, lines = time.monotonic(), []
            for line in GROUPS[name](Path(folder).resolve(), args, random.Random(args.seed)):
                lines.append(asdict(line))
                said = f"{line.what}: {line.tried} tried, {line.lost} lost {line.note}\n"
                os.write(2, said.encode())
            seconds = round(time.monotonic() - start, 1)
            found[name] = {"machine": host, "seconds": seconds, "seed": args.seed, "lines": lines}
            write_json(NUMBERS, {key: found[key] for key in GROUPS if key in found})
            PAGE.write_text(page(read_json(NUMBERS)), encoding="utf-8")
    tried = [row for name in args.groups or GROUPS for row in found[name]["lines"]]
    raise SystemExit(int(any(row["lost"] for row in tried)))


if __name__ == "__main__":
    main()
