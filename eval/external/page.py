"""index.html of an evaluation: ranking with intervals, paired differences, every edit with filters.

One static file and a folder of small pictures beside it; no network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.external.datasets import Picture, Sample
from eval.external.datasets.contract import picture_digest
from eval.external.folder import Outcome, Request
from eval.external.gallery import Gallery
from eval.external.journal import Journal
from eval.external.pairs import read_ahead
from eval.external.summary import collect_values
from eval.external.tables import caption, printed, side_by_side
from eval.metrics.suite import find_measure
from eval.report.render import render
from eval.report.tables import Column, format_value
from lr_edit.errors import UserError
from lr_edit.files import write_text
from lr_edit.types import Track
from lr_edit.workspace.pictures import read_image


def write_page(
    requests: Sequence[Request], journal: Journal, *, data: Mapping[str, str],
    outcomes: Mapping[str, Outcome], summary: Mapping[str, Any], track: Track,
) -> None:  # fmt: skip
    """Write index.html, and what gallery/ lacks, into the journal's folder.

    Args:
        requests: what was evaluated in this call: its edits are shown.
        journal: the folder's rows.
        data: task id -> `Sample.digest()`.
        outcomes: variant -> which file is which task's edit.
        summary: what evaluation.json holds; every variant in it is ranked.
        track: shows how far it is.
    """
    names = [request.variant for request in requests]
    samples = requests[0].dataset.samples
    gallery = Gallery(journal.folder)

    def show(sample: Sample) -> list[str | None]:
        files = [_find_shown(gallery, sample.image, name="image")]
        for one in requests:
            file = outcomes[one.variant].matching.found.get(sample.task.id)
            files.append(_find_shown(gallery, one.edits / file, name="edit") if file else None)
        return files

    shown = list(track(read_ahead(samples, show), "gallery", total=len(samples)))
    known = summary["variants"]
    metrics = sorted(  # the page opens on one that has values
        known[names[0]], key=lambda metric: not any(row[metric]["n"] for row in known.values())
    )
    found = collect_values(requests[0], journal, data=data)
    values = {
        "variants": names,
        "up": {metric: bool(find_measure(metric).higher_is_better) for metric in metrics},
        "table": {metric: [_plain(found[name][metric]) for name in names] for metric in metrics},
    }
    kind = summary["dataset"]["kind"]
    page = render(
        "evaluation.html.j2",
        title=f"Editors on {kind}" if len(summary["variants"]) > 1 else f"{names[0]} on {kind}",
        caption=caption(summary),
        notes=summary["dataset"]["notes"],
        metrics=[_ranking(summary, metric) for metric in metrics],
        categories=sorted({sample.task.category for sample in samples}),
        shown=names,
        against=summary["against"],
        table=side_by_side(summary),
        tasks=[_task(one, files, names) for one, files in zip(samples, shown, strict=True)],
        values=values,
    )
    write_text(journal.folder / "index.html", page)


def _find_shown(gallery: Gallery, picture: Picture, *, name: str) -> str | None:
    """The small picture's file, made where it is not there; None for one that cannot be read."""
    digest = picture_digest(picture)
    if digest is None:
        return None
    if gallery.lacks(digest):
        file = picture if isinstance(picture, Path) else picture.read()
        try:
            gallery.add(digest, read_image(file, name=f"{name} {picture}"))
        except UserError:
            return None
    return gallery.path(digest).name


def _task(sample: Sample, files: Sequence[str | None], names: Sequence[str]) -> dict[str, Any]:
    """What the template shows of a task: its source, then an edit of every variant."""
    task = sample.task
    return {
        "id": task.id,
        "category": task.category,
        "words": sample.instruction or task.prompt or task.id,
        "source": files[0],
        "edits": [
            {"name": name, "place": at, "file": file}
            for at, (name, file) in enumerate(zip(names, files[1:], strict=True))
        ],
    }


def _ranking(summary: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """A metric's editors, the best first, and where their means and intervals lie on a line."""
    measure = find_measure(metric)
    cells = {name: cells.get(metric, {}) for name, cells in summary["variants"].items()}
    ends = [cell[part] for cell in cells.values() for part in ("mean", "low", "high")
            if cell.get(part) is not None]  # fmt: skip
    low, width = (min(ends), max(ends) - min(ends) or 1.0) if ends else (0.0, 1.0)
    sign = -1 if measure.higher_is_better else 1

    def key(name: str) -> float:
        mean = cells[name].get("mean")
        if mean is None:  # every image perfect, or none measured
            return -math.inf if cells[name].get("infinite") else math.inf
        return float(sign * mean)

    rows, endless = [], any(cell.get("infinite") and cell["n"] for cell in cells.values())
    for name in cells if endless else sorted(cells, key=key):  # means without the best: no ranking
        cell, paired = cells[name], summary["paired"].get(name, {}).get(metric, {})
        rows.append({
            "name": name,
            "mean": printed(metric, cell.get("mean")) or "–",
            "interval": " to ".join(_ends(metric, cell)),
            "n": cell.get("n", 0),
            "bar": _bar(cell, low, width),
            "change": format_value(paired["difference"], measure, sign=True)
            if paired.get("difference") is not None else "",
            "p": "" if paired.get("holm_p") is None else f"{paired['holm_p']:.3g}",
        })  # fmt: skip
    return {"key": metric, "label": Column(measure, measure.group).head, "rows": rows}


def _ends(metric: str, cell: Mapping[str, Any]) -> Iterator[str]:
    if cell.get("low") is not None:
        yield printed(metric, cell["low"])
        yield printed(metric, cell["high"])


def _bar(cell: Mapping[str, Any], low: float, width: float) -> dict[str, str] | None:
    """A mean and its interval, in percent of the line."""
    if cell.get("mean") is None:
        return None

    def at(value: float) -> float:
        return 4 + 92 * (value - low) / width

    first, last = (at(cell["mean"] if cell.get(k) is None else cell[k]) for k in ("low", "high"))
    return {"at": f"{at(cell['mean']):.2f}", "low": f"{first:.2f}", "width": f"{last - first:.2f}"}


def _plain(column: np.ndarray) -> list[float | None]:
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in column.tolist()]
