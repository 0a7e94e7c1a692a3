"""What edits at full size take by count: parts on the `meta` device, evaluations by the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.full_size import count_flops
from benchmarks.strategies import ANCHORS, DRAWS, STEPS
from lr_edit.config import Race, load_config
from lr_edit.grounding import TRIED
from lr_edit.saliency import PLACES
from lr_edit.successive_halving import plan_rounds
from lr_edit.types import Sampler

WINDOWS = PLACES**2 + 1  # images of the source that CLIP embeds for text relevance,
GROUNDING = 2 * TRIED + 1  # and for grounding


def count_edits(root: Path) -> dict[str, Any]:
    """FLOPs of every part, evaluations and FLOPs of every strategy."""
    config, flops = load_config(root / "params.yaml", profile="sd2"), count_flops()
    how = config.proposal_set("dino")
    boxes = how.propose.points * len(how.propose.sizes)
    full = how.inpaint.sampler
    few = config.amortised
    pndm = replace(full, solver="pndm", steps=STEPS, guided=1.0)
    plans = {
        "released": [(ANCHORS * DRAWS, pndm)],
        "enumerate": [(boxes, full)],
        "grounded, 5 boxes": [(5, full)],
        "grounded, 1 box": [(1, full)],
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
                + 2 * flops["dino"]
                + (GROUNDING if name.startswith("grounded") else WINDOWS) * flops["clip"],
            }
            for name, rounds in plans.items()
        ],
    }  # fmt: skip


def _rounds(rules: Race, full: Sampler, *, entrants: int) -> list[tuple[int, Sampler]]:
    """How many boxes a race inpaints in each round, and how."""
    samplers = [*(one.sampler for one in rules.previews), full]
    costs = [sampler.nfe for sampler in samplers]
    entered = plan_rounds(rules.budget, costs, candidates=entrants)
    return list(zip(entered, samplers, strict=True))


def _flops(flops: dict[str, float], count: int, sampler: Sampler) -> float:
    """Inpainting and scoring so many boxes: the words once, everything else each time."""
    tiny = "tiny " * sampler.tiny_vae
    each = sampler.nfe * flops["unet"] + flops[tiny + "encode"] + flops[tiny + "decode"]
    return count * (each + 2 * flops["clip"]) + flops["text"]
