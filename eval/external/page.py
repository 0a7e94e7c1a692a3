"""index.html of an evaluation: ranking with intervals, paired differences, every edit with filters.

One static file and a folder of pictures beside it; no network. A strip a task holds its source and
the edits of every folder that was evaluated, made again only where one of them changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from eval.external.datasets import Sample
from eval.external.datasets.contract import picture_digest, read_picture
from eval.external.folder import Outcome, Request
from eval.external.journal import Journal
from eval.external.pairs import read_ahead
from eval.external.summary import collect_values
from eval.external.tables import caption, printed, side_by_side
from eval.metrics.suite import find_measure
from eval.report.render import render
from eval.report.tables import Column, format_value
from lr_edit.errors import UserError
from lr_edit.files import atomic_write, write_text
from lr_edit.types import Track
from lr_edit.workspace.pictures import read_image
from lr_edit.workspace.storage import content_key

SIDE, QUALITY = 240, 85  # of a picture in a strip


def write_page(
    requests: Sequence[Request], journal: Journal, *, data: Mapping[str, str],
    outcomes: Mapping[str, Outcome], summary: Mapping[str, Any], track: Track,
) -> None:  # fmt: skip
    """Write index.html and gallery/ into the journal's folder.

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
    folder = journal.folder / "gallery"
    folder.mkdir(exist_ok=True)

    def strip(sample: Sample) -> str:
        return _write_strip(folder, sample, requests=requests, outcomes=outcomes)

    strips = list(track(read_ahead(samples, strip), "gallery", total=len(samples)))
    metrics = list(summary["variants"][names[0]])
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
        tasks=[_task(s, strip, names) for s, strip in zip(samples, strips, strict=True)],
        values=values,
    )
    write_text(journal.folder / "index.html", page)


def _write_strip(
    folder: Path, sample: Sample, *, requests: Sequence[Request], outcomes: Mapping[str, Outcome]
) -> str:
    """The source and the edits, side by side, each within a square; returns the file's stem."""
    found = [outcomes[request.variant].matching.found.get(sample.task.id) for request in requests]
    files = [r.edits / file if file else None for r, file in zip(requests, found, strict=True)]
    digests = [picture_digest(sample.image), *(f and picture_digest(f) for f in files)]
    stem = content_key("contained strip", SIDE, digests)[:16]
    path = folder / f"{stem}.webp"
    if not path.exists():
        squares = [_square(read_picture(sample.image)), *map(_square_of, files)]
        with atomic_write(path) as part:
            Image.fromarray(np.concatenate(squares, axis=1)).save(
                part, format="WEBP", quality=QUALITY, method=2
            )
    return stem


def _square_of(file: Path | None) -> np.ndarray:
    """An edit; grey where there is none that can be read."""
    blank = np.full((SIDE, SIDE, 3), 128, np.uint8)
    try:
        return _square(read_image(file, name=f"edit {file}")) if file else blank
    except UserError:
        return blank


def _square(image: np.ndarray) -> np.ndarray:
    picture = ImageOps.contain(Image.fromarray(image), (SIDE, SIDE))  # small ones enlarged
    square = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return np.asarray(square)


def _task(sample: Sample, strip: str, names: Sequence[str]) -> dict[str, Any]:
    """What the template shows of a task."""
    panels, task = len(names) + 1, sample.task
    return {
        "id": task.id,
        "category": task.category,
        "words": sample.instruction or task.prompt or task.id,
        "strip": f"background-image:url('gallery/{strip}.webp');"
        f"background-size:{100 * panels}% 100%;background-position:",
        "edits": [
            {"name": name, "place": at, "at": f"{100 * (at + 1) / (panels - 1):.4f}"}
            for at, name in enumerate(names)
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
        return math.inf if mean is None else sign * mean

    rows = []
    for name in sorted(cells, key=key):
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
