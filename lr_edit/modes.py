"""The ways to edit one picture. Each is a function from an `EditJob` to what it inpainted; a new
one is a function, a row in `RUN`, and a name in `request.Mode`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Int, UInt8
from torch import Tensor

from lr_edit import method
from lr_edit.budgeted_editor import (
    Prior,
    Report,
    ScoredCandidate,
    edit_within_budget,
    list_candidates,
)
from lr_edit.config import Config, Race, Variant
from lr_edit.frozen.models import Models
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import Proposed, propose
from lr_edit.request import Mode
from lr_edit.types import EditTask, Merit

# The paper's learner; its steps and rate were chosen on val. A study's `learned` is taken instead.
LEARNED = Variant.model_validate({"proposals": "dino", "learner": "exact", "steps": 200})


@dataclass(frozen=True)
class EditJob:
    """One picture at the models' size, and all that a mode may use.

    boxes      the user's own, (n, 4), in pixels of the square; None: the method proposes them
    rank       what the best is best by, and `budget` the NFE it may cost; None: as `config` says
    read_prior reads the dataset-level nets of the profile
    report     is told what happens next, and the NFE of the whole edit
    """

    models: Models
    config: Config
    task: EditTask
    source: UInt8[Tensor, "3 side side"]
    boxes: Int[Tensor, "n 4"] | None
    rank: Merit | None
    budget: int | None
    read_prior: Callable[[], Prior]
    report: Report


@dataclass(frozen=True)
class Outcome:
    """Candidates at full quality, the best first, and the NFE of all."""

    candidates: tuple[ScoredCandidate, ...]
    nfe: int


def race(job: EditJob) -> Outcome:
    """Previews of most boxes, full quality for the best; dataset-level nets pick who enters."""
    nets = job.config.race.entrants and job.config.models.anchor_net
    return _spend(job, job.config.race, prior=job.read_prior() if nets else None)


def grounded(job: EditJob) -> Outcome:
    """The boxes that CLIP finds by the source words, the best by `ground` less L. Words that it
    does not find, as where something is to be added, are raced for by the loss."""
    if job.boxes is not None or "grounded" not in job.config.proposals:
        return race(job)
    how = job.config.proposal_set("grounded")
    found = _propose(job, how)
    grounding = found[0].grounding
    budget = job.budget or job.config.models.grounded  # the race's own would cost four times more
    if grounding is None or grounding.drop < job.config.models.found:
        return race(replace(job, rank=job.rank or "loss", budget=budget))
    rules = Race(proposals="grounded", budget=budget, entrants=None, rank="ground-loss")
    return _spend(job, rules, prior=None, proposed=found)


def amortised(job: EditJob) -> Outcome:
    """The boxes that dataset-level nets find the most probable, and no other."""
    return _spend(job, job.config.amortised, prior=job.read_prior())


def enumerate_boxes(job: EditJob) -> Outcome:
    """Every box at full quality; the user's own where there are some."""
    how = job.config.proposal_set(job.config.race.proposals)
    every = how.propose.points * len(how.propose.sizes) if job.boxes is None else len(job.boxes)
    each = job.models.inpainter.nfe_per_image(how.inpaint.sampler)
    rules = Race(proposals=job.config.race.proposals, budget=every * each, entrants=None)
    return _spend(job, rules, prior=None)


def paper(job: EditJob) -> Outcome:
    """The paper's procedure: every anchor and size, AnchorNet trained on this picture, one edit per
    anchor, of which the highest S is the edit; the others follow by S."""
    row = job.config.variants.get("learned", LEARNED)
    row = row.model_copy(update={"rank": job.rank or row.rank})
    how = job.config.proposal_set(row.proposals)
    every = how.propose.points * len(how.propose.sizes)
    each = job.models.inpainter.nfe_per_image(how.inpaint.sampler)
    job.report(f"full quality of {every} boxes", every * each)
    images, choice, bank = method.edit(
        job.models, job.task, source=job.source, config=job.config, variant=row
    )
    scored = list_candidates(bank, images)
    won = scored.pop(choice.point * bank.losses.shape[1] + choice.size)
    others = sorted(scored, key=lambda one: one.merit(job.rank or "S"), reverse=True)
    return Outcome((won, *others), bank.nfe)


RUN: dict[Mode, Callable[[EditJob], Outcome]] = {
    "grounded": grounded,
    "race": race,
    "enumerate": enumerate_boxes,
    "amortised": amortised,
    "paper": paper,
}


def _spend(
    job: EditJob, rules: Race, *, prior: Prior | None, proposed: Proposed | None = None
) -> Outcome:
    own = {"budget": job.budget or rules.budget, "rank": job.rank or rules.rank}
    how = job.config.proposal_set(rules.proposals)
    how = how.model_copy(update={"relevance": prior is not None})  # which alone reads it
    done = edit_within_budget(
        job.models, job.task, source=job.source, config=job.config, how=how,
        rules=rules.model_copy(update=own), prior=prior, own=job.boxes, report=job.report,
        proposed=proposed or _propose(job, how),
    )  # fmt: skip
    return Outcome(done.candidates, done.raced.nfe)


def _propose(job: EditJob, how: ProposalSet) -> Proposed:
    return propose(job.models, job.task, source=job.source, config=job.config, how=how)
