"""reports/index.html: tables, figures and every edit on one static page, with filters.

No network, no framework: the page is one file, pictures lie beside it. Prompts are data: everything
is escaped. A strip a task holds its source and every variant's edit, so that a gallery of hundreds
of edits is one request a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from eval.report.claims import claims
from eval.report.contact_sheet import Row
from eval.report.examples import sheet_rows
from eval.report.tables import Table, format_table
from lr_edit.config import Config
from lr_edit.types import Box, EditTask
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import atomic_write, empty_folder

FIGURES = {
    "cost.png": "S and success against the candidates that had to be painted",
    "training_curves.png": "Expected loss while AnchorNet learns",
    "amortised.png": "AnchorNet across images: what it reaches on unseen tasks",
    "anatomy.png": "How the method chooses: attention and anchors, losses, probabilities, edit",
    "sizes.png": "Side of the chosen box against side of the object",
    "worst.png": "The ten worst edits of the method, with the first missing link",
}
QUALITY = 90  # of WebP: a quarter of PNG's bytes on textured ground


def write_gallery(
    root: Path,
    config: Config,
    *,
    tasks: Sequence[EditTask],
    results: dict[str, Any],
    tables: Sequence[Table],
) -> None:
    """Write index.html and gallery/ID.webp below reports/."""
    variants, out = list(config.variants), reports_folder(root)
    rows = sheet_rows(root, config, tasks=tasks, variants=variants)
    folder = empty_folder(out / "gallery")
    for row in rows:
        _write_strip(folder / f"{row.task.id}.webp", row)
    page = (
        _environment()
        .get_template("gallery.html")
        .render(
            results=results,
            variants=variants,
            categories=sorted({task.category for task in tasks}),
            cards=[card for row in rows for card in _cards(row, variants)],
            tables=[(table, format_table(table)) for table in tables],
            figures=[
                (file, words)
                for file, words in FIGURES.items()
                if file != "amortised.png" or results["ablations"].get("amortised")
            ],
            claims=[line.removeprefix("- ") for line in claims(results)],
        )
    )
    with atomic_write(out / "index.html") as part:
        part.write_text(page, encoding="utf-8")


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _write_strip(path: Path, row: Row) -> None:
    """The source and the edits, side by side."""
    strip = np.concatenate([row.source, *(edit.edited for edit in row.edits)], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        Image.fromarray(strip).save(part, format="WEBP", quality=QUALITY, method=4)


def _cards(row: Row, variants: Sequence[str]) -> list[dict[str, Any]]:
    """What the template needs to show of every variant's edit of one task."""
    side, panels = row.source.shape[1], len(variants) + 1
    truth = row.task.truth.box if row.task.truth else None
    return [
        {
            "task": row.task,
            "variant": name,
            "outcome": "unknown" if np.isnan(edit.success) else "yes" if edit.success else "no",
            "iou": None if np.isnan(edit.iou) else f"{edit.iou:.2f}",
            "panels": panels,
            "at": at + 1,
            "box": _percent(edit.box, side),
            "truth": _percent(truth, side) if truth else None,
        }
        for at, (name, edit) in enumerate(zip(variants, row.edits, strict=True))
    ]


def _percent(box: Box, side: int) -> str:
    """A box as CSS, in shares of a square picture."""
    share = 100 / side
    return (
        f"left:{box.left * share:.2f}%;top:{box.top * share:.2f}%;"
        f"width:{(box.right - box.left) * share:.2f}%;height:{(box.bottom - box.top) * share:.2f}%"
    )
