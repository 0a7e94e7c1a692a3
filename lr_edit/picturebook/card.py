"""The model card: what the small models reach against their bars, and pictures of what they do.

Enters what training and measuring found; leaves reports/models.md and its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from textwrap import wrap
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lr_edit.picturebook.measures import Exhibit
from lr_edit.picturebook.train import NAMES, measured_path
from lr_edit.workspace.storage import atomic_write, read_json

# Model, measurement -> the bar, on held-out scenes of `val`.
BARS: dict[str, dict[str, float]] = {
    "vae": {"psnr": 28.0, "psnr_things": 24.0, "kind": 0.95, "colour": 0.95},
    "judge": {"kind": 0.97, "colour": 0.97, "none": 0.97},
    "scoring-clip": {"right_caption": 0.85},
    "evaluation-clip": {"right_caption": 0.85},
    "anchors": {"top_on_thing": 0.90, "nine_on_thing": 0.70, "named_among_nine": 0.90},
    "inpainter": {"kind": 0.80, "colour": 0.85, "both": 0.70, "none": 0.80},
    "perceptual": {"ordered": 0.95},
    "detector": {"found": 0.90},
}
# The same from above.
CAPS: dict[str, dict[str, float]] = {
    "inpainter": {"milliseconds": 5.0},
    "all": {"megabytes": 60.0},
}
MEANING = {
    ("vae", "psnr"): "round trip, dB",
    ("vae", "psnr_things"): "round trip inside object boxes, dB",
    ("vae", "kind"): "the judge tells the kind after a round trip",
    ("vae", "colour"): "and the colour",
    ("judge", "kind"): "kind right on clean scenes",
    ("judge", "colour"): "colour right",
    ("judge", "none"): "empty ground is `none`",
    ("scoring-clip", "right_caption"): "the right caption among 256",
    ("evaluation-clip", "right_caption"): "the right caption among 256",
    ("anchors", "top_on_thing"): "top anchor on an object",
    ("anchors", "nine_on_thing"): "mean of nine anchors on an object",
    ("anchors", "named_among_nine"): "the named object among nine",
    ("inpainter", "kind"): "replace, recolour in the true box: kind right",
    ("inpainter", "colour"): "colour right",
    ("inpainter", "both"): "both right",
    ("inpainter", "none"): "remove in the true box: `none`",
    ("inpainter", "milliseconds"): "ms a UNet evaluation and sample, 27 at once, 2 threads",
    ("detector", "found"): "the named thing at IoU 0.5",
    ("perceptual", "ordered"): "round trip nearer than recolour nearer than replacement",
    ("all", "megabytes"): "weights together, MB",
}
SHEETS = {
    "models_edits.png": "Edits in the true box: source beside edit, and what the judge sees there",
    "models_worst.png": "The ten edits that the judge doubts most",
    "models_instructed.png": "Edits of the whole picture by the instruction editor: source beside "
    "edit, and what the judge sees at the true box",
    "models_reconstructions.png": "Pictures and their round trip through the autoencoder, the ten "
    "worst last",
    "models_attention.png": "Where the anchor ViT looks, and its nine anchors, the first in red; "
    "the ten scenes whose things the bank of boxes meets worst last",
}
_DPI = 100
_LETTERS = 26  # of a caption, below one picture


def write_card(models: Path, page: Path) -> None:
    """reports/models.md: every bar beside what was measured, and how each model was trained."""
    found: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        path = measured_path(models, name)
        found[name] = read_json(path) if path.exists() else {}
    found["all"] = {"megabytes": weight_bytes(models) / 1e6}
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
            _row(name, key, bar, found[name].get(key), most=bars is CAPS)
            for bars in (BARS, CAPS)
            for name in bars
            for key, bar in bars[name].items()
        ),
        "",
        *_beside(found),
        "## Training",
        "",
        "The same seed gives the same weights on the same machine; a run that was cut off goes on "
        "from its last checkpoint.",
        "",
        "| model | command | steps | seed | device | minutes |",
        "| --- | --- | ---: | ---: | --- | ---: |",
        *(_trained(name, found[name]) for name in NAMES if "steps" in found[name]),
        "",
        "## Pictures",
        "",
    ]
    for name, words in SHEETS.items():
        lines += [f"{words}:", "", f"![{words}]({name})", ""]
    with atomic_write(page) as part:
        part.write_text("\n".join(lines), encoding="utf-8")


def weight_bytes(models: Path) -> int:
    """Of all safetensors below a folder."""
    return sum(path.stat().st_size for path in models.rglob("*.safetensors"))


def _row(name: str, key: str, bar: float, value: float | None, *, most: bool) -> str:
    """`most`: the bar is the most that is allowed, not the least."""
    measured, holds = "not measured", ""
    if value is not None:
        measured = f"{value:.1f}" if most or value > 1 else f"{value:.3f}"
        holds = "yes" if (value <= bar if most else value >= bar) else "**no**"
    sign = "≤" if most else "≥"
    return f"| {name} | {MEANING[name, key]} | {sign} {bar:g} | {measured} | {holds} |"


def _beside(found: dict[str, dict[str, Any]]) -> list[str]:
    """What has no bar, and the inpainter's way there."""
    lines = []
    if "bank_recall" in found["anchors"]:
        recall = f"{100 * found['anchors']['bank_recall']:.0f}%"
        lines += [f"Recall of the bank: {recall} of things are met by one of its boxes at IoU 0.5 "
                  "or more.", ""]  # fmt: skip
    if "found_alike" in (one := found["detector"]):
        alike = f"{100 * one['found_alike']:.1f}%"
        lines += [f"Beside a thing of the same kind or colour the detector finds the named one in "
                  f"{alike}; its mean IoU is {one['iou']:.2f}.", ""]  # fmt: skip
    if "both" in (one := found["editor"]):
        kind, colour, both, none = (
            f"{100 * one[key]:.1f}%" for key in ("kind", "colour", "both", "none")
        )
        lines += [f"The instruction editor, which has no bar, puts the right kind at the true box "
                  f"in {kind} of held-out replacements and recolourings, the right colour in "
                  f"{colour}, both in {both}; it removes in {none}.", ""]  # fmt: skip
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
    minutes = f"{one['seconds'] / 60:.0f}" if "seconds" in one else "not recorded"
    device = one.get("device", "cpu")
    where = "CPU, one thread" if device == "cpu" else device
    command = f"`lr-edit picturebook train {name}`"
    return f"| {name} | {command} | {one['steps']} | {one['seed']} | {where} | {minutes} |"


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
        lines = [wrap(line, _LETTERS * wide) for line in one.words.splitlines()]
        axes.set_xlabel("\n".join(chain(*lines)), fontsize=5.5, labelpad=2)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes in figure.axes[len(exhibits) :]:
        axes.axis("off")
    with atomic_write(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
