"""What every metric is called, which way is better, where it is measured and how it is printed.

The keys are the contract of results.json, the per-image CSV and the tracker. NumPy-free data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROTOCOL = "strict"

# Reported apart: saliency anchors avoid empty ground, and nothing is left to see where something
# was removed. Everything else is the headline.
APART = ("remove", "add")


# What the column says, in one sentence: it goes with the numbers, into results.json.
SUCCESS = (
    "An edit succeeds where the evaluation networks see what was asked for in the true or the "
    "chosen box, nothing left of the old thing, and everything else as it was."
)


@dataclass(frozen=True)
class Measure:
    """One metric.

    Printed values are multiplied by 10^power. `higher_is_better` is None where neither end is: the
    best area ratio is 1. `paired` says how variants are compared: with a test, by the difference
    alone (costs are no sample, the others are parts of success), or not at all (PSNR: its
    tests use the MSE, so that perfect edits are not dropped).
    """

    key: str
    title: str
    group: str
    higher_is_better: bool | None
    region: Literal["whole", "background", "edited", "box"]
    power: int = 0
    decimals: int = 2
    paired: Literal["test", "difference", "none"] = "test"

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


MEASURES = (
    Measure("structure_distance", "Distance", "Structure", False, "whole", power=3),
    Measure("background_psnr", "PSNR", "Background", True, "background", paired="none"),
    Measure("lpips", "LPIPS", "Background", False, "background", power=3),
    Measure("background_mse", "MSE", "Background", False, "background", power=4),
    Measure("background_ssim", "SSIM", "Background", True, "background", power=2),
    Measure("clip_whole", "Whole", "CLIP", True, "whole"),
    Measure("clip_edited", "Edited", "CLIP", True, "edited"),
    Measure("clip_directional", "Directional", "CLIP", True, "whole", power=2),
    Measure("clip_i", "Image", "CLIP", True, "whole", power=2),
    Measure("iou", "IoU", "Region", True, "box", power=2),
    Measure("hit", "Hit", "Region", True, "box", power=2),
    Measure("area_ratio", "Area ratio", "Region", None, "box", paired="none"),
    Measure("success_kind", "Kind", "Region", True, "edited", power=2, paired="difference"),
    Measure("success_colour", "Colour", "Region", True, "edited", power=2, paired="difference"),
    Measure("in_place", "In place", "Region", True, "edited", power=2, paired="difference"),
    Measure("placed", "Placed", "Region", True, "edited", power=2, paired="difference"),
    Measure("gone", "Gone", "Region", True, "edited", power=2, paired="difference"),
    Measure("kept", "Kept", "Region", True, "whole", power=2, paired="difference"),
    Measure("success", "Success", "Region", True, "edited", power=2),
    Measure("success_1", "one thing", "Success", True, "edited", power=2, paired="difference"),
    Measure("success_2", "two things", "Success", True, "edited", power=2, paired="difference"),
    Measure("success_3", "three", "Success", True, "edited", power=2, paired="difference"),
    Measure("score_s", "S", "Ranking", True, "whole", decimals=3),
    Measure("loss", "L", "Ranking", False, "whole", decimals=3),
    Measure(
        "candidates", "Candidates", "Cost", False, "whole", decimals=1, paired="difference"
    ),
    Measure(
        "nfe", "NFE", "Cost", False, "whole", decimals=0, paired="difference"
    ),
)  # fmt: skip

CROWDED = 3  # things in a scene, that is: as many or more

BY_KEY = {measure.key: measure for measure in MEASURES}
# Rows of ablations also have what a distribution over sizes expects, whatever is chosen from it.
ABLATED = BY_KEY | {
    "expected_loss": Measure("expected_loss", "J", "Ranking", False, "whole", decimals=3)
}


def is_headline(category: str) -> bool:
    """Whether a task counts in the headline numbers."""
    return category not in APART


def describe_world(*, world: str, profile: str) -> str:
    """Which world the numbers are about, in a sentence: under every figure."""
    if world == "picturebook":
        return "Picture-book world: small stand-in models that know drawn 64-pixel scenes."
    return f"Profile {profile}: full-size models on photos."


def write_caption(*, world: str, profile: str) -> str:
    """What must be said under every table."""
    words = describe_world(world=world, profile=profile)
    if world != "picturebook":
        return words
    return (
        f"{words} LPIPS is the mean over layers of the project's own trunk, without the package's "
        "linear heads; numbers compare rows of this table, not published ones."
    )
