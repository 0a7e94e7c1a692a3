"""Parameters of a proposal set: where anchors and boxes come from, and how they are inpainted."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from lr_edit.profiles import MOST, Count, Index, Share, Template
from lr_edit.profiles import Frozen as _Frozen
from lr_edit.types import Sampler

Map = Literal["dino", "relevance", "diffedit"]  # where anchors come from, or a box
MAPS = get_args(Map)
Own = Literal["truth", "released", "grounding", "occlusion", "detector", "whole"]
OWNERS = {  # boxes that anchors of their own have
    "truth": "truth", "released": "released", "grounded": "grounding", "occlusion": "occlusion",
    "detected": "detector", "segmented": "detector", "whole": "whole",
}  # fmt: skip


class Propose(_Frozen):
    """Anchor points and box sizes. `sizes` are sides as shares of the image's; `growths`, in cells
    on all sides, are those of boxes that words find, 0 the box as it was found; `features`: whether
    DINO's are kept, which nets read."""

    points: Count = 9
    sizes: tuple[Share, ...] = Field((0.25, 0.375, 0.5, 0.625, 0.75, 0.875), min_length=1)
    growths: tuple[Annotated[int, Field(ge=-8, le=64)], ...] = Field((0,), min_length=1)
    distance: float = Field(0.0, ge=0, le=MOST)  # least distance between anchors, in cells
    margin: float = Field(0.0, ge=0, le=MOST)  # the release's border rule, in cells
    features: bool = True


class Inpaint(_Frozen):
    """The sampler (types.Sampler says what its values mean), the seam in pixels, the batch."""

    solver: Literal["dpm", "pndm"] = "dpm"
    steps: int = Field(8, ge=1, le=1000)  # of the 1,000 times that models are trained at
    guidance: float = Field(3.0, ge=0, le=1000)
    guided: float = Field(0.5, ge=0, le=1)
    refresh: Count = 1
    stop: Count | None = None
    strength: Share = 1.0
    tiny_vae: bool = False
    feather: Index = 2
    batch: Count = 54

    @model_validator(mode="after")
    def _has_steps(self) -> Inpaint:
        if not (self.stop or 1) <= self.sampler.length:
            left = f"{self.steps} steps at strength {self.strength} are {self.sampler.length}"
            raise ValueError(f"{left}: `stop` and 1 may not be more")
        if self.solver == "pndm" and (self.stop or self.strength < 1):
            raise ValueError("`pndm` takes whole trajectories alone: no `stop`, no `strength`")
        return self

    @property
    def sampler(self) -> Sampler:
        """How a candidate is sampled, without the seam and the batch."""
        return Sampler(**{field.name: getattr(self, field.name) for field in fields(Sampler)})


class ProposalSet(_Frozen):
    """A way to draw boxes for every task, and to inpaint them.

    `propose` and `inpaint` state what they change of the study's. Anchors are the highest cells of
    a map, or need none; a box by `threshold` is drawn about the map itself, one `detected` by the
    profile's `detector`, `segmented` by its `segmenter`; `whole` pictures are its `editor`'s."""

    anchors: Literal[Map, "grid", "random", "centre", Own]
    boxes: Literal["squares", "random", "threshold", "truth", "released", "grounded", "occlusion",
                   "detected", "segmented", "whole"]  # fmt: skip
    draws: Count = 1  # random rectangles per anchor; of `whole`: pictures
    prompt: Literal["scene", "object"] = "scene"  # the task's prompt, or the wanted thing alone
    template: Template = "{}"  # around those; release: "a high quality image of {}."
    relevance: bool = False  # compute text relevance, which nets with text read
    noise: Literal["common", "independent"] = "common"  # of the candidates of a task
    noise_seed: Index = 0  # other noise in the same boxes
    propose: Propose
    inpaint: Inpaint

    @property
    def most(self) -> tuple[int, int]:
        """How many points and sizes a task's candidates have at most."""
        if self.boxes in ("truth", "threshold", "whole"):
            return (self.draws if self.boxes == "whole" else 1), 1
        sizes = {
            "squares": len(self.propose.sizes),
            "random": self.draws,
            "grounded": len(self.propose.growths),
            "occlusion": len(self.propose.growths),
        }.get(self.boxes, 1)
        return (1 if self.anchors == "centre" else self.propose.points), sizes

    @model_validator(mode="after")
    def _belongs_together(self) -> ProposalSet:
        if OWNERS.get(self.boxes) != {name: name for name in OWNERS.values()}.get(self.anchors):
            raise ValueError(f"anchors {self.anchors} and boxes {self.boxes} do not go together")
        if self.boxes == "threshold" and self.anchors not in MAPS:
            raise ValueError(f"boxes by threshold need anchors from a map: {', '.join(MAPS)}")
        if self.draws > 1 and self.boxes not in ("random", "whole"):
            raise ValueError(f"boxes {self.boxes} are not drawn: leave `draws` out")
        if self.propose.growths != (0,) and self.boxes not in ("grounded", "occlusion"):
            raise ValueError(
                f"boxes {self.boxes} do not grow: growths are of those that words find"
            )
        if 0 not in self.propose.growths:
            raise ValueError("growths must hold 0, the box as it was found: it alone has a score")
        return self
