"""reports/index.html: every edit, variants of a task side by side, then tables and figures.

No network, no framework: the page is one file, pictures lie beside it. Prompts are data: everything
is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eval.metrics.registry import describe_world
from eval.report.baselines import WHERE
from eval.report.captions import write_glossary
from eval.report.claims import read_claims
from eval.report.edits import Row, caption
from eval.report.figures import pdf_of
from eval.report.render import render
from eval.report.tables import Table
from lr_edit.config import Config
from lr_edit.types import Box

FIGURES = {
    "cost.png": "S and success against the candidates that had to be inpainted",
    "training_curves.png": "Expected loss while AnchorNet learns",
    "amortised.png": "Dataset-level AnchorNet: what it reaches on unseen tasks",
    "anatomy.png": "How the method chooses: attention and anchors, losses, probabilities, edit",
    "sizes.png": "Side of the chosen box against side of the object",
    "worst.png": "The ten worst edits of the method, with the first missing link",
}
PICTURES = ("anatomy.png", "worst.png")  # what is no drawing has no PDF


def gallery_page(
    results: dict[str, Any], config: Config, *, rows: Sequence[Row], tables: Sequence[Table]
) -> str:
    """The page's text; `results` are as `in_order` gives them."""
    variants = [{"key": name, "title": config.title_of(name)} for name in config.variants]
    where = next((table for table in tables if table.title == WHERE), None)
    return render(
        "index.html.j2",
        results=results,
        glossary=write_glossary(results),
        world=describe_world(world=config.models.world, profile=config.profile),
        variants=variants,
        categories=sorted({row.task.category for row in rows}),
        tasks=[_describe_task(row, config) for row in rows],
        tables=tables,
        where=where,
        figures=[
            (file, words, "" if file in PICTURES else pdf_of(Path(file)).as_posix())
            for file, words in FIGURES.items()
            if file != "amortised.png" or results["ablations"].get("amortised")
        ],
        claims=read_claims(results, config),
    )


def _describe_task(row: Row, config: Config) -> dict[str, Any]:
    """What the template needs to show of one task: words, and every variant's edit.

    A panel has the picture's shape; the strip behind it holds squares, whose white is cut off.
    """
    task, side, panels = row.task, row.source.shape[1], len(row.edits) + 1
    high, wide = row.shape
    truth = task.truth.box if task.truth else None
    places = {name: at + 1 for at, name in enumerate(row.edits)}  # in the strip
    return {
        "id": task.id,
        "category": task.category,
        "caption": caption(task),
        "source": task.source,
        "prompt": task.prompt,
        "words": f"{task.source} {task.prompt} {task.id}".lower(),
        "strip": f"aspect-ratio:{wide}/{high};"
        f"background-image:url('gallery/{quote(task.id)}.webp');"
        f"background-size:{_percent(panels * side, wide)} {_percent(side, high)};"
        "background-position:",
        "truth": _place(truth, row.shape) if truth else None,
        "edits": [
            {
                "key": name,
                "title": config.title_of(name),
                "outcome": {True: "yes", False: "no", None: "unknown"}[row.edits[name].success],
                "iou": None if (iou := row.iou(name)) is None else f"{iou:.2f}",
                "at": _percent(places[name] * side, panels * side - wide),
                "box": _place(row.edits[name].box, row.shape),
            }
            for name in config.variants
        ],
    }


def _place(box: Box, shape: tuple[int, int]) -> str:
    """A box as CSS, in shares of a picture of so many rows and columns."""
    high, wide = shape
    return (
        f"left:{_percent(box.left, wide)};top:{_percent(box.top, high)};"
        f"width:{_percent(box.right - box.left, wide)};"
        f"height:{_percent(box.bottom - box.top, high)}"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.4f}".rstrip("0").rstrip(".") + "%"
