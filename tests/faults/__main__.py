"""Try every fault and write reports/reliability.md: `make faults`, some tens of minutes.

python -m tests.faults [--kills N] [--publishes N] [--cases N] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lr_edit.execution.environment import pin_environment

pin_environment(one_thread=True)  # before torch is imported

from tests.faults import inputs, kills, machine, trials  # noqa: E402
from tests.faults.trials import Line  # noqa: E402
from tests.source_tree import ROOT  # noqa: E402

PAGE = ROOT / "reports/reliability.md"


def try_everything(top: Path, args: argparse.Namespace, rng: random.Random) -> Iterator[Line]:
    """Every line of the report, in order."""
    base = trials.make_base(top)
    for stage in trials.STAGES:
        yield kills.kill_stage(base, stage, times=args.kills, rng=rng)
    yield kills.kill_first_publish(top, times=args.publishes, rng=rng)
    yield from machine.try_full_disk(base)
    yield from machine.try_removed_and_flipped_cache(base, rng)
    yield machine.try_flipped_store(top, rng)
    yield from machine.try_concurrently(base)
    yield from machine.try_mlflow(top)
    inputs.prepare_areas(top)
    verdicts, bad = inputs.try_inputs(top, count=args.cases, rng=rng)
    yield from areas(verdicts)
    for line in bad:
        yield Line(f"bad input: {line}", 1, 0, 1)


def areas(verdicts: Counter[str]) -> Iterator[Line]:
    """One line an area: how many of its cases were read, and how many refused."""
    for area in sorted({key.split(":")[0] for key in verdicts}):
        read, refused = (verdicts[f"{area}: {how}"] for how in ("read", "refused"))
        tried = sum(n for key, n in verdicts.items() if key.startswith(f"{area}:"))
        name, note = area.split(".")[0], f"{read} read, {refused} refused in a sentence"
        yield Line(f"bad input: {name}", tried, read + refused, tried - read - refused, note)


def page(lines: list[Line], *, seconds: float, seed: int) -> str:
    """The report."""
    tried, lost = sum(line.tried for line in lines), sum(line.lost for line in lines)
    head = [
        "# Reliability",
        "",
        f"Written by `make faults` (seed {seed}, {seconds / 60:.0f} minutes) on "
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. "
        "A trial survives if the next run ends well with the bytes of an undisturbed one, or if "
        "what is wrong is said in one sentence.",
        "",
        f"**{tried} tried, {lost} lost.**",
        "",
        "| fault | tried | survived | lost | |",
        "|---|---:|---:|---:|---|",
    ]
    rows = [f"| {x.what} | {x.tried} | {x.survived} | {x.lost} | {x.note} |" for x in lines]
    return "\n".join([*head, *rows]) + "\n"


def main() -> None:
    """Try, write, and end with 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    for name, count in {"kills": 20, "publishes": 40, "cases": 11_000, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    args = parser.parse_args()
    start, lines = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        for line in try_everything(Path(folder).resolve(), args, random.Random(args.seed)):
            lines.append(line)
            os.write(2, f"{line.what}: {line.tried} tried, {line.lost} lost {line.note}\n".encode())
    text = page(lines, seconds=time.monotonic() - start, seed=args.seed)
    PAGE.write_text(text, encoding="utf-8")
    raise SystemExit(int(any(line.lost for line in lines)))


if __name__ == "__main__":
    main()
