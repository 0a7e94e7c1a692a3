"""The ways to edit one picture. Each is a function from an `EditJob` to what it inpainted; a new
one is a function, a row in `RUN`, and a name in `request.Mode`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from jaxtyping import Int, UInt8
from torch import Tensor

from lr_edit import method
from lr_edit.budgeted_editor import (
    Prior,
    Report,
    ScoredCandidate,
    boxes_in_words,
    edit_within_budget,
    list_candidates,
)
from lr_edit.config import Config, Race
from lr_edit.detect import detect_words, propose_found
from lr_edit.errors import UserError
from lr_edit.frame import Frame, frame_photo
from lr_edit.framed_models import Canvas
from lr_edit.frozen.detectors import Detector
from lr_edit.frozen.models import Models
from lr_edit.photo_file import Picture
from lr_edit.profiles import Profile
from lr_edit.proposal_set import ProposalSet
from lr_edit.propose import SEAM, Proposed, propose
from lr_edit.request import Mode, Request
from lr_edit.types import EditTask, Merit
from lr_edit.variant import Variant

# The paper's learner; its steps and rate were chosen on val. A study's `learned` is taken instead.
LEARNED = Variant.model_validate({"proposals": "dino", "learner": "exact", "steps": 200})


@dataclass(frozen=True)
class EditJob:
    """One picture at the models' size, and all that a mode may use.

    boxes      the user's own, (n, 4), in pixels of the square; None: the method proposes them
    rank       what the best is best by, and `budget` the NFE it may cost; None: as `config` says
    read_prior     reads the dataset-level nets of a proposal set
    read_detector  reads its detector, which it names
    report     is told what happens next, and the NFE of the whole edit
    """

    models: Models
    config: Config
    task: EditTask
    source: UInt8[Tensor, "3 side side"]
    boxes: Int[Tensor, "n 4"] | None
    rank: Merit | None
    budget: int | None
    read_prior: Callable[[str], Prior]
    read_detector: Callable[[], Detector]
    report: Report


def as_canvas(picture: Picture, request: Request, *, profile: Profile) -> Canvas:
    """How the models will see a picture: as the paper's square, or in its own shape."""
    width, height = picture.width, picture.height
    whole = Frame(0, 0, width, height) if request.mode == "paper" else frame_photo(width, height)
    boxes, mask = request.drawn(picture)
    return Canvas(
        picture.srgb, whole, profile.side, profile.cell,
        context=request.crops(picture, profile.side), mask=mask,
        own={whole.to_square(box, side=profile.side): box for box in boxes},
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Candidates at full quality, the best first, and the NFE of all."""

    candidates: tuple[ScoredCandidate, ...]
    nfe: int


def race(job: EditJob) -> Outcome:
    """Previews of most boxes, full quality for the best; dataset-level nets pick who enters."""
    rules = job.config.race
    nets = rules.entrants and job.config.models.anchor_net
    return _spend(job, rules, prior=job.read_prior(rules.proposals) if nets else None)


def detected(job: EditJob) -> Outcome:
    """The box of which the profile's detector is surest; where it is sure of none, or the profile
    names no detector, as `grounded`. A budget buys more of its boxes, a rank chooses of some."""
    if (found := find_detected(job)) is None:
        return grounded(job)
    rules = Race(
        proposals="detected", budget=_detected_budget(job), entrants=None, rank="ground-loss"
    )
    return _spend(job, rules, prior=None, proposed=found)


def grounded(job: EditJob) -> Outcome:
    """The boxes that CLIP finds by the source words, the best by `ground` less L. Words that it
    does not find, as where something is to be added, are raced for by the loss."""
    if "grounded" not in job.config.proposals:
        return race(job)
    budget = job.budget or job.config.models.grounded  # the race's own would cost four times more
    if (found := find_grounded(job)) is None:
        return race(replace(job, rank=job.rank or "loss", budget=budget))
    rules = Race(proposals="grounded", budget=budget, entrants=None, rank="ground-loss")
    return _spend(job, rules, prior=None, proposed=found)


def find_detected(job: EditJob) -> Proposed | None:
    """As many of the detector's boxes as the budget buys, its surest first; None where it is sure
    of none."""
    config = job.config
    if "detected" not in config.proposals or config.models.detector is None:
        return None
    how = config.proposal_set("detected")
    try:
        detector = job.read_detector()
    except UserError as error:
        raise UserError(f"{error}; the mode grounded needs no detector") from error
    found = detect_words(
        detector, job.source[None].float() / 255, words=job.task.source,
        points=max(1, _detected_budget(job) // _price(job)), cell=config.models.cell, seam=SEAM,
    )  # fmt: skip
    if found.drop < config.models.sure:
        return None
    proposed = propose_found(
        job.models, job.task, found=found, source=job.source, config=config, how=how
    )
    return proposed if _found(proposed) >= config.models.sure else None  # it lies in the picture


def _detected_budget(job: EditJob) -> int:
    """NFE of the mode `detected`: one box's, unless more are asked for."""
    return job.budget or (job.config.models.grounded if job.rank else _price(job))


def _price(job: EditJob) -> int:
    """NFE of one box in full."""
    return job.models.inpainter.nfe_per_image(job.config.proposal_set("detected").inpaint.sampler)


def find_grounded(job: EditJob) -> Proposed | None:
    """The boxes that CLIP finds by the source words, the best first; None where it finds none."""
    if "grounded" not in job.config.proposals:
        return None
    proposed = _propose(job, job.config.proposal_set("grounded"))
    return proposed if _found(proposed) >= job.config.models.found else None


def _found(proposed: Proposed) -> float:
    """How surely the words were found, by whoever looked for them."""
    grounding = proposed[0].grounding
    return -inf if grounding is None else grounding.drop


def amortised(job: EditJob) -> Outcome:
    """The boxes that dataset-level nets find the most probable, and no other."""
    rules = job.config.amortised
    return _spend(job, rules, prior=job.read_prior(rules.proposals))


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
    job.report(f"full quality of {boxes_in_words(every)}", every * each)
    images, choice, bank = method.edit(
        job.models, job.task, source=job.source, config=job.config, variant=row
    )
    scored = list_candidates(bank, images)
    won = scored.pop(choice.point * bank.losses.shape[1] + choice.size)
    others = sorted(scored, key=lambda one: one.merit(job.rank or "S"), reverse=True)
    return Outcome((won, *others), bank.nfe)


RUN: dict[Mode, Callable[[EditJob], Outcome]] = {
    "detected": detected,
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
