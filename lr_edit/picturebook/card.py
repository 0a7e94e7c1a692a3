"""The model card: what the small models reach against their bars, and pictures of what they do.

Enters what training and measuring found; leaves reports/models.md and its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lr_edit.picturebook.measures import Exhibit
from lr_edit.picturebook.train import NAMES, measured_path
from lr_edit.storage import read_json, whole

# Model, measurement -> the bar, on held-out scenes of `val`.
BARS: dict[str, dict[str, float]] = {
    "vae": {"psnr": 28.0, "psnr_things": 24.0, "kind": 0.95, "colour": 0.95},
    "judge": {"kind": 0.97, "colour": 0.97, "none": 0.97},
    "teacher": {"right_caption": 0.85},
    "judge-clip": {"right_caption": 0.85},
    "anchors": {"top_on_thing": 0.90, "nine_on_thing": 0.70, "named_among_nine": 0.90},
    "inpainter": {"kind": 0.80, "colour": 0.85, "both": 0.70, "none": 0.80},
    "perceptual": {"ordered": 0.95},
}
SHEETS = {
    "models_edits.png": "Edits in the true box: source beside edit, and what the judge sees there",
    "models_worst.png": "The ten edits that the judge doubts most",
    "models_reconstructions.png": "Pictures and their round trip through the autoencoder, the ten "
    "worst last",
    "models_attention.png": "Where the anchor ViT looks, and its nine anchors, the first in red; "
    "the ten scenes whose things the bank of boxes meets worst last",
}
_DPI = 100


def write_card(models: Path, page: Path) -> None:
    """reports/models.md: every bar beside what was measured, and how each model was trained."""
    found: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        path = measured_path(models, name)
        found[name] = read_json(path) if path.exists() else {}
    lines = [
        "# The small models",
        "",
        "Drawn scenes, held-out `val` split. Made by `lr-edit picturebook train all`, measured by",
        "`lr-edit picturebook card`. They stand in for DINO, CLIP and Stable Diffusion: numbers",
        "made with them compare methods in this world and say nothing of photos.",
        "",
        "| model | measured | bar | reached | holds |",
        "| --- | --- | ---: | ---: | :---: |",
        *(
            _row(name, key, bar, found[name].get(key))
            for name in BARS
            for key, bar in BARS[name].items()
        ),
        "",
        *_beside(found),
        "## Training",
        "",
        "One thread of a CPU; the same seed gives the same weights on the same machine.",
        "",
        "| model | command | steps | seed | minutes |",
        "| --- | --- | ---: | ---: | ---: |",
        *(_trained(name, found[name]) for name in NAMES if "steps" in found[name]),
        "",
        "## Pictures",
        "",
    ]
    for name, words in SHEETS.items():
        lines += [f"{words}:", "", f"![{words}]({name})", ""]
    with whole(page) as part:
        part.write_text("\n".join(lines))


def _row(name: str, key: str, bar: float, value: float | None) -> str:
    told = "not measured" if value is None else f"{value:.3f}"
    holds = "" if value is None else ("yes" if value >= bar else "**no**")
    return f"| {name} | {key} | {bar:g} | {told} | {holds} |"


def _beside(found: dict[str, dict[str, Any]]) -> list[str]:
    """What has no bar, and the inpainter's way there."""
    lines = []
    if "bank_recall" in found["anchors"]:
        recall = f"{100 * found['anchors']['bank_recall']:.0f}%"
        lines += [f"Recall of the bank: {recall} of things are met by one of its boxes at IoU 0.5 "
                  "or more.", ""]  # fmt: skip
    if "milliseconds" in found["inpainter"]:
        one = found["inpainter"]
        lines += [
            f"A UNet evaluation takes {one['milliseconds']:.1f} ms a sample in batches of 27 on "
            f"{one['threads']:.0f} threads (bar: 5 on 2).",
            "",
        ]
    if curve := found["inpainter"].get("curve"):
        keys = list(BARS["inpainter"])
        lines += [
            "The inpainter on its way, averaged weights after so many steps, before the rate's "
            "fall has ended:",
            "",
            "| steps | " + " | ".join(keys) + " |",
            "| ---: |" + " ---: |" * len(keys),
            *(
                f"| {row['steps']} | " + " | ".join(f"{row[key]:.2f}" for key in keys) + " |"
                for row in curve
            ),
            "",
        ]
    return lines


def _trained(name: str, one: dict[str, Any]) -> str:
    minutes = f"{one['seconds'] / 60:.0f}" if "seconds" in one else ""
    command = f"`lr-edit picturebook train {name}`"
    return f"| {name} | {command} | {one['steps']} | {one['seed']} | {minutes} |"


def write_sheet(path: Path, exhibits: Sequence[Exhibit], *, columns: int) -> None:
    """Exhibits in rows, their words below each. No date in the file: equal sheets, equal bytes."""
    rows = -(-len(exhibits) // columns)
    wide = len(exhibits[0].pictures)
    figure = Figure(figsize=(1.25 * wide * columns, 1.7 * rows), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, one in zip(
        figure.subplots(rows, columns, squeeze=False).flat, exhibits, strict=False
    ):
        side = one.pictures[0].shape[0]
        for at, picture in enumerate(one.pictures):
            left = at * (side + 2)
            axes.imshow(picture, extent=(left, left + side, side, 0), interpolation="nearest")
        axes.set(xlim=(0, wide * (side + 2) - 2), ylim=(side, 0))
        axes.set_xlabel(one.words, fontsize=5.5, labelpad=2)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes in figure.axes[len(exhibits) :]:
        axes.axis("off")
    with whole(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
