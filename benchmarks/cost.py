"""Every strategy on one task, side by side: UNet evaluations, seconds, memory, FLOPs.

The functions are the editor's own. Loading and compiling are left out of the seconds.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from lr_edit.execution.environment import pin_environment

pin_environment()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.full_size import (  # noqa: E402
    build_models,
    compile_inpainter,
    count_flops,
    flops_of,
)
from benchmarks.page import write_page  # noqa: E402
from lr_edit import method  # noqa: E402
from lr_edit.budgeted_editor import edit_within_budget  # noqa: E402
from lr_edit.cli.edit import edit_file  # noqa: E402
from lr_edit.config import Config, Race, load_config  # noqa: E402
from lr_edit.frozen.models import Models, load_models  # noqa: E402
from lr_edit.propose import propose  # noqa: E402
from lr_edit.saliency import PLACES, Saliency  # noqa: E402
from lr_edit.score import score_candidates  # noqa: E402
from lr_edit.successive_halving import plan_rounds  # noqa: E402
from lr_edit.types import EditTask, Sampler  # noqa: E402
from lr_edit.workspace.paths import find_root  # noqa: E402
from lr_edit.workspace.storage import (  # noqa: E402
    read_image,
    read_json,
    read_tasks,
    write_bank,
    write_image,
    write_json,
    write_tensors,
)

Run = Callable[[], Any]
WINDOWS = PLACES**2 + 1  # what CLIP sees of the source
# The release: nine anchors, ten iterations and the final round, "50 steps".
ANCHORS, DRAWS, STEPS = 9, 11, 50


@dataclass(frozen=True)
class Row:
    """One strategy on one image."""

    strategy: str
    nfe: int
    seconds: float
    peak_bytes: int
    flops: float


@dataclass(frozen=True)
class Subject:
    """What is edited, by which models, under which parameters."""

    models: Models
    task: EditTask
    source: Tensor
    config: Config

    def bank(self, **change: Any) -> Any:
        """Every box of the set `dino`, or of one that differs from it."""
        how = self.config.proposal_set("dino").model_copy(update=change)
        return method.make_bank(
            self.models, self.task, source=self.source, config=self.config, how=how
        )

    def race(self, rules: Race, prior: Any = None) -> Any:
        """The race; with a prior, of as many boxes as the rules let in."""
        return edit_within_budget(
            self.models, self.task, source=self.source, config=self.config, rules=rules,
            how=self.config.proposal_set("dino"), prior=prior, track=silent,
        )  # fmt: skip

    def released(self, draws: int) -> None:
        """The release's schedule, painted in our batches; its batches are of one picture."""
        how = self.config.proposal_set("dino")
        inpaint = how.inpaint.model_copy(
            update={"solver": "pndm", "steps": STEPS, "guided": 1.0, "stop": None}
        )
        nine = how.propose.model_copy(update={"points": ANCHORS})
        for draw in range(draws):
            self.bank(
                anchors="released", boxes="released", noise="independent", noise_seed=draw,
                inpaint=inpaint, propose=nine,
            )  # fmt: skip


def silent(
    items: Iterable,
    label: str,  # noqa: ARG001
    *,
    total: int | None = None,  # noqa: ARG001
) -> Iterator:
    """No progress bar."""
    yield from items


def strategies(subject: Subject) -> dict[str, Run]:
    """Name -> a run that edits the image once; the release is measured apart."""
    config = subject.config
    each = config.proposal_set("dino").inpaint.sampler.nfe

    def likely(_seen: Saliency, boxes: Tensor) -> np.ndarray:
        return np.ones(boxes.shape[:2])  # a net's answer costs next to nothing, whatever it is

    return {
        "enumerate": lambda: subject.bank(),
        "race": lambda: subject.race(config.race),
        "amortised, top 3": lambda: subject.race(config.amortised, likely),
        "amortised, top 1": lambda: subject.race(Race(entrants=1, budget=each), likely),
    }


def measure(subject: Subject, *, draws: int = DRAWS, repeats: int = 3) -> list[Row]:
    """A row a strategy; FLOPs are counted in a run of their own, which also warms up."""
    rows = []
    one = flops_of(lambda: subject.released(1))
    rows.append(_row(subject, "released", lambda: subject.released(draws), draws * one, 1))
    for name, run in strategies(subject).items():
        rows.append(_row(subject, name, run, flops_of(run), repeats))
    return rows


def measure_compiled(subject: Subject, eager: list[Row], *, repeats: int = 3) -> list[Row]:
    """The same with UNet and decoder compiled; each run is warmed up by itself first."""
    compile_inpainter(subject.models.inpainter)
    subject.released(1)
    rows = [_row(subject, "released", lambda: subject.released(DRAWS), eager[0].flops, 1)]
    for (name, run), before in zip(strategies(subject).items(), eager[1:], strict=True):
        run()
        rows.append(_row(subject, name, run, before.flops, repeats))
    return rows


def _row(subject: Subject, name: str, run: Run, flops: float, repeats: int) -> Row:
    inpainter = subject.models.inpainter
    before, took = inpainter.nfe, []
    _reset_peak()
    for _ in range(repeats):
        took.append(seconds_of(run))
    nfe = (inpainter.nfe - before) // repeats
    return Row(name, nfe, median(took), _peak(), flops)


def seconds_of(run: Run) -> float:
    """Wall-clock seconds of a run, the device's queue included."""
    _wait()
    start = time.perf_counter()
    run()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Bytes: of the GPU's allocator, or of this process since the last reset (Linux)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def matmul_rate() -> float:
    """FLOP/s of the best of ten square products: fp16 on a GPU, fp32 on a CPU."""
    gpu = torch.cuda.is_available()
    side, kind = (8192, torch.float16) if gpu else (2048, torch.float32)
    a = torch.rand(side, side, device="cuda" if gpu else "cpu", dtype=kind)
    return 2 * side**3 / min(seconds_of(lambda: a @ a) for _ in range(10))


def parts_of_an_edit(subject: Subject) -> dict[str, float]:
    """Seconds of the parts of an enumerated edit, and of writing what it made."""
    models, task, config = subject.models, subject.task, subject.config
    how = config.proposal_set("dino")
    bank, images = subject.bank()
    variant = next(row for row in config.variants.values() if row.learner != "none")
    seed, side = config.study.seed, subject.source.shape[-1]
    found = {
        "propose": seconds_of(
            lambda: propose(models, task, source=subject.source, config=config, how=how)
        ),
        "score": seconds_of(
            lambda: score_candidates(
                models.clip, task, source=subject.source, images=images, score=config.score
            )
        ),
        "train AnchorNet": seconds_of(
            lambda: list(
                method.learn_sizes([task.id], [bank], variant=variant, side=side, seed=seed)
            )
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("tables", "images")]

        def write() -> None:
            write_bank(files[0], bank)
            write_tensors(files[1], {"images": images.numpy()})

        found["write"] = seconds_of(write)
        return found | {f"bytes of {file.name}": file.stat().st_size for file in files}


def whole_edit(root: Path, subject: Subject) -> float:
    """Seconds of `lr-edit edit` in one process: models, picture, race, picture."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        write_image(image, subject.source.permute(1, 2, 0).numpy())
        return seconds_of(
            lambda: edit_file(
                root, subject.config, image=image, source=subject.task.source,
                prompt=subject.task.prompt, output=Path(folder) / "edit.png", track=silent,
                warn=lambda _: None,
            )
        )  # fmt: skip


def hardware() -> str:
    """The device, without the name of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info, name = Path("/proc/cpuinfo"), platform.machine()
    if info.exists():
        lines = info.read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if "model name" in x), name)
    return f"{name}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"


def picturebook(root: Path) -> dict[str, Any]:
    """The bundled models on this device."""
    load = os.getloadavg()[0]
    config = load_config(root / "params.yaml", profile="picturebook")
    task = next(t for t in read_tasks(root / config.models.data / "tasks.json"))
    pixels = read_image(root / config.models.data / task.image)
    models: list[Models] = []
    loading = seconds_of(lambda: models.append(load_models(root, config.models)))
    subject = Subject(models[0], task, torch.from_numpy(pixels.transpose(2, 0, 1).copy()), config)
    rows = measure(subject)
    return {
        "load": load, "hardware": hardware(), "torch": torch.__version__,
        "matmul": matmul_rate(), "rows": [asdict(row) for row in rows],
        "parts": parts_of_an_edit(subject), "loading": loading,
        "lr-edit edit": whole_edit(root, subject),
    }  # fmt: skip


def full_size(root: Path) -> dict[str, Any]:
    """Full-size models of random weights on the GPU, eager and compiled."""
    config = load_config(root / "params.yaml", profile="sd2")
    models = build_models(root / "models/picturebook/inpainter/tokenizer", device="cuda")
    side = config.models.side
    source = torch.randint(256, (3, side, side), generator=torch.Generator().manual_seed(0))
    task = EditTask("photo", Path("photo.png"), "a red boat", "a blue fish on sand")
    subject = Subject(models, task, source.to(torch.uint8), config)
    eager = measure(subject)
    found = {
        "hardware": hardware(), "torch": torch.__version__, "matmul": matmul_rate(),
        "rows": [asdict(row) for row in eager], "parts": parts_of_an_edit(subject),
    }  # fmt: skip
    return found | {"compiled": [asdict(row) for row in measure_compiled(subject, eager)]}


def counted(root: Path) -> dict[str, Any]:
    """What full-size edits take by count: parts on the `meta` device, evaluations by the plan."""
    config, flops = load_config(root / "params.yaml", profile="sd2"), count_flops()
    how = config.proposal_set("dino")
    boxes = how.propose.points * len(how.propose.sizes)
    full = how.inpaint.sampler
    few = config.amortised
    pndm = replace(full, solver="pndm", steps=STEPS, guided=1.0)
    plans = {
        "released": [(ANCHORS * DRAWS, pndm)],
        "enumerate": [(boxes, full)],
        "race": _rounds(config.race, full, entrants=boxes),
        "amortised, top 3": _rounds(few, full, entrants=few.entrants or boxes),
        "amortised, top 1": [(1, full)],
    }
    return {
        "flops": flops,
        "plans": [
            {
                "strategy": name,
                "nfe": sum(n * sampler.nfe for n, sampler in rounds),
                "flops": sum(_flops(flops, n, sampler) for n, sampler in rounds)
                + 2 * flops["dino"] + WINDOWS * flops["clip"],
            }
            for name, rounds in plans.items()
        ],
    }  # fmt: skip


def _rounds(rules: Race, full: Sampler, *, entrants: int) -> list[tuple[int, Sampler]]:
    """How many boxes a race paints in each round, and how."""
    samplers = [*(one.sampler for one in rules.previews), full]
    costs = [sampler.nfe for sampler in samplers]
    entered = plan_rounds(rules.budget, costs, candidates=entrants)
    return list(zip(entered, samplers, strict=True))


def _flops(flops: dict[str, float], count: int, sampler: Sampler) -> float:
    """Painting and scoring so many boxes: the words once, everything else each time."""
    tiny = "tiny " * sampler.tiny_vae
    each = sampler.nfe * flops["unet"] + flops[tiny + "encode"] + flops[tiny + "decode"]
    return count * (each + 2 * flops["clip"]) + flops["text"]


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="The checkout; found when not given.")
def main(root: Path | None) -> None:
    """Measure this machine; what only a GPU can say is kept from an earlier run."""
    root, start = find_root(root), time.perf_counter()
    path = root / "reports/performance.json"
    found = read_json(path) if path.exists() else {"sd2": None}
    found |= {"picturebook": picturebook(root), "counted": counted(root)}
    if torch.cuda.is_available():
        found["sd2"] = full_size(root)
    found["took"] = time.perf_counter() - start
    write_json(path, found)
    click.echo(write_page(path))


if __name__ == "__main__":
    main()
