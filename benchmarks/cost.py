"""What an image costs, measured here and kept beside what other devices said.

Every number is written as soon as it is there; what fails is said in one sentence and holds up
nothing else.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.counted import count_edits
from benchmarks.full_size import build_models
from benchmarks.graphs import record_steps
from benchmarks.page import write_page
from benchmarks.strategies import Subject, measure, strategies, time_parts
from benchmarks.timing import hardware, matmul_rate, seconds_of
from benchmarks.training import KINDS, TOGETHER, measure_training
from lr_edit.config import load_config
from lr_edit.editor import Editor
from lr_edit.errors import UserError
from lr_edit.execution.environment import choose_device
from lr_edit.frozen.memory import compile_blocks
from lr_edit.frozen.models import Models, load_models
from lr_edit.types import EditTask
from lr_edit.workspace.paths import find_root
from lr_edit.workspace.storage import read_image, read_json, read_tasks, write_image, write_json


class Findings:
    """reports/performance.json: part -> device -> what was found, and what failed."""

    def __init__(self, path: Path, *, device: str, minutes: float) -> None:
        self.device, self._path = device, path
        self._start, self._minutes = time.perf_counter(), minutes
        self._all: dict[str, Any] = read_json(path) if path.exists() else {}
        self._failed: dict[str, str] = {}
        self.add("run", hardware=hardware(device), torch=torch.__version__, load=os.getloadavg()[0])

    def add(self, part: str, *, device: str | None = None, **values: Any) -> None:
        """Put values beside those of the same part and device, and write all, the page too."""
        self._all.setdefault(part, {}).setdefault(device or self.device, {}).update(values)
        self._all.setdefault("failed", {})[self.device] = self._failed
        self._all["run"][self.device]["took"] = time.perf_counter() - self._start
        write_json(self._path, self._all)
        write_page(self._path)

    def attempt(self, what: str, make: Callable[[], Any]) -> Any:
        """What is made; None, and a sentence among those of what failed, where nothing is."""
        if time.perf_counter() - self._start > 60 * self._minutes:
            self._failed[what] = f"not begun: the {self._minutes:g} minutes were over"
            return None
        click.echo(what, err=True)
        try:
            return make()
        except UserError as error:
            self._failed[what] = str(error)
        except Exception as error:  # the rest is measured all the same
            self._failed[what] = f"{type(error).__name__}: {error}".splitlines()[0]
        return None


def measure_part(
    findings: Findings, part: str, *, subject: Subject, rows: str, flops: dict[str, float]
) -> dict[str, float]:
    """A row per strategy, kept one by one; returns their FLOPs, counted where not given."""
    kept: dict[str, Any] = {}
    for name in strategies(subject):
        row = findings.attempt(
            f"{part}, {rows}: {name}",
            partial(measure, subject, name, flops=flops.get(name)),
        )
        if row is not None:
            kept[name] = asdict(row)
            found: dict[str, Any] = {rows: list(kept.values())}
            findings.add(part, **found)
    return {name: row["flops"] for name, row in kept.items()}


def measure_picturebook(findings: Findings, root: Path) -> None:
    """The bundled models on this device."""
    config = load_config(root / "params.yaml", profile="picturebook")
    task = next(t for t in read_tasks(root / config.models.data / "tasks.json"))
    pixels = read_image(root / config.models.data / task.image)
    models: list[Models] = []
    loading = seconds_of(lambda: models.append(load_models(root, config.models)))
    subject = Subject(models[0], task, torch.from_numpy(pixels.transpose(2, 0, 1).copy()), config)
    findings.add("picturebook", loading=loading, matmul=matmul_rate())
    measure_part(findings, "picturebook", subject=subject, rows="rows", flops={})
    findings.add("picturebook", parts=time_parts(subject), edit=time_whole_edit(root, subject))


def measure_all_training(findings: Findings, root: Path) -> None:
    """AnchorNet's training of one image, and on a GPU of many together."""
    config, device = load_config(root / "params.yaml", profile="picturebook"), findings.device
    plan = [
        (kind, images) for images in ((1, TOGETHER) if device == "cuda" else (1,)) for kind in KINDS
    ]
    rows = []
    for kind, images in plan:
        row = findings.attempt(
            f"training: {kind.name}, {images}",
            partial(measure_training, config, kind, images=images, device=device),
        )
        if row is not None:
            rows.append(asdict(row))
            findings.add("training", rows=rows)


def measure_full_size(findings: Findings, root: Path) -> None:
    """Full-size models of random weights on the GPU, eager and compiled."""
    config = load_config(root / "params.yaml", profile="sd2")
    models = build_models(root / "models/picturebook/inpainter/tokenizer", device="cuda")
    side = config.models.side
    source = torch.randint(256, (3, side, side), generator=torch.Generator().manual_seed(0))
    task = EditTask("photo", Path("photo.png"), "a red boat", "a blue fish on sand")
    subject = Subject(models, task, source.to(torch.uint8), config)
    findings.add("sd2", matmul=matmul_rate())
    flops = measure_part(findings, "sd2", subject=subject, rows="rows", flops={})
    findings.add("sd2", parts=time_parts(subject))
    inpainter: Any = models.inpainter
    unet = inpainter._pipeline.unet
    eager = unet.forward
    record_steps(unet)  # FLOPs are the eager ones: neither can be counted
    measure_part(findings, "sd2", subject=subject, rows="graphs", flops=flops)
    unet.forward = eager
    torch._dynamo.config.recompile_limit = 64  # a UNet has blocks of many widths
    compile_blocks(unet)
    record_steps(unet)
    measure_part(findings, "sd2", subject=subject, rows="compiled", flops=flops)


def time_whole_edit(root: Path, subject: Subject) -> float:
    """Seconds of `lr-edit edit` in one process: models, picture, race, picture."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        write_image(image, subject.source.permute(1, 2, 0).numpy())

        def edit() -> None:
            editor = Editor(subject.config, load_models(root, subject.config.models), root=root)
            result = editor(image, source=subject.task.source, prompt=subject.task.prompt)
            result.save(Path(folder) / "edit.png", overwrite=True)

        return seconds_of(edit)


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="The checkout; found when not given.")
@click.option(
    "--minutes", default=7.0, help="Nothing new is begun after so many.", show_default=True
)
def main(root: Path | None, minutes: float) -> None:
    """Measure this machine; what other devices have said is kept."""
    root = find_root(root)
    path = root / "reports/performance.json"
    findings = Findings(path, device=choose_device(), minutes=minutes)
    parts: dict[str, Callable[[], None]] = {
        "training": lambda: measure_all_training(findings, root),
        "sd2": lambda: measure_full_size(findings, root),
        "picturebook": lambda: measure_picturebook(findings, root),
        "counted": lambda: findings.add("counted", device="meta", **count_edits(root)),
    }
    if findings.device == "cpu":
        del parts["sd2"]
    for name, part in parts.items():
        findings.attempt(name, part)
        findings.add("run")
    click.echo(path.with_suffix(".md"))


if __name__ == "__main__":
    main()
