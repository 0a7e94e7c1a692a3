"""Every strategy on one task, side by side: UNet evaluations, seconds, memory, FLOPs.

The functions are the editor's own. Loading and compiling are left out of the seconds.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.full_size import flops_of
from benchmarks.timing import Run, peak, reset_peak, seconds_of
from lr_edit import method
from lr_edit.budgeted_editor import edit_within_budget
from lr_edit.config import Config, Race
from lr_edit.frozen.models import Models
from lr_edit.propose import propose
from lr_edit.saliency import Saliency
from lr_edit.score import score_candidates
from lr_edit.types import EditTask
from lr_edit.workspace.storage import write_bank, write_tensors

# The release: nine anchors, ten iterations and the final round, "50 steps".
ANCHORS, DRAWS, STEPS = 9, 11, 50
SLOW = ("released", "enumerate")  # timed once


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

    def grounded(self, boxes: int) -> None:
        """The best so many boxes that CLIP finds by the source words."""
        how = self.config.proposal_set("grounded")
        self.bank(**dict(how.model_copy(
            update={"propose": how.propose.model_copy(update={"points": boxes})}
        )))  # fmt: skip

    def race(self, rules: Race, prior: Any = None) -> Any:
        """The race; with a prior, of as many boxes as the rules let in."""
        return edit_within_budget(
            self.models, self.task, source=self.source, config=self.config, rules=rules,
            how=self.config.proposal_set("dino"), prior=prior,
        )  # fmt: skip

    def released(self, draws: int) -> None:
        """The release's schedule, inpainted in our batches; its batches are of one picture."""
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


def strategies(subject: Subject) -> dict[str, Run]:
    """Name -> a run that edits the image once; the released schedule comes first."""
    config = subject.config
    each = config.proposal_set("dino").inpaint.sampler.nfe

    def uniform_prior(_maps: Saliency, boxes: Tensor) -> np.ndarray:
        return np.ones(boxes.shape[:2])  # a net's answer costs next to nothing, whatever it is

    return {
        "released": lambda: subject.released(DRAWS),
        "enumerate": lambda: subject.bank(),
        "grounded, 5 boxes": lambda: subject.grounded(5),
        "grounded, 1 box": lambda: subject.grounded(1),
        "race": lambda: subject.race(config.race),
        "amortised, top 3": lambda: subject.race(config.amortised, uniform_prior),
        "amortised, top 1": lambda: subject.race(Race(entrants=1, budget=each), uniform_prior),
    }


def measure(subject: Subject, name: str, *, flops: float | None = None, repeats: int = 3) -> Row:
    """One strategy, warmed up by a run of its own, which counts FLOPs where they are not given.

    Of the release's schedule one draw is the warm-up.
    """
    run, models = strategies(subject)[name], subject.models
    first, times = (lambda: subject.released(1), DRAWS) if name == "released" else (run, 1)
    if flops is None:
        flops = times * flops_of(first)
    else:
        first()
    before = models.inpainter.nfe
    reset_peak(models.device)
    took = [seconds_of(run) for _ in range(1 if name in SLOW else repeats)]
    nfe = (models.inpainter.nfe - before) // len(took)
    return Row(name, nfe, median(took), peak(models.device), flops)


def time_parts(subject: Subject) -> dict[str, float]:
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
                method.learn_sizes(
                    [task.id], [bank], variant=variant, side=side, seed=seed, device=models.device
                )
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
