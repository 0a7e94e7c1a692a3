"""Figures to files: a picture for pages, and the same as PDF for papers.

No date, no version and no tool stands in a file: equal figures are equal bytes.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from lr_edit.workspace.storage import atomic_write

PDF = "pdf"  # the folder of the PDFs, beside the pictures
_SILENT = {"Creator": None, "Producer": None, "CreationDate": None}


def save_figure(figure: Figure, path: Path, *, as_pdf: bool = True) -> None:
    """Write `path`, a PNG, and pdf/ with the same beside it; not of what is pictures alone."""
    with atomic_write(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
    if not as_pdf:
        return
    with atomic_write(pdf_of(path)) as part, rc_context({"pdf.fonttype": 42}):  # TrueType
        figure.savefig(part, format="pdf", metadata=_SILENT)


def pdf_of(path: Path) -> Path:
    """Where a figure's PDF lies."""
    return path.parent / PDF / f"{path.stem}.pdf"
