"""reports/results.json -> the results table of README.md: `python -m eval.report.readme`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.report.claims import claims
from lr_edit.config import load_config
from lr_edit.workspace.storage import atomic_write, read_json

START, END = "<!-- results -->", "<!-- /results -->"
# Metric, heading, what values are multiplied by, decimals.
COLUMNS = (
    ("iou", "IoU with the true box, %", 100, 1),
    ("success", "edit success, %", 100, 1),
    ("score_s", "S", 1, 3),
    ("loss", "L", 1, 3),
    ("candidates", "candidates inpainted", 1, 0),
)


# Rows of the ablations that a reader should see first; left out where they were not run.
AMORTISED = ("text-128-top-1", "text-128-top-3-by-loss")


def table(results: dict[str, Any], *, order: Sequence[str]) -> str:
    """One row a variant, in the given order, then nets across images and the ceilings; means with
    95% intervals."""
    head = "| variant | " + " | ".join(title for _, title, _, _ in COLUMNS) + " |"
    lines = [head, "| --- |" + " ---: |" * len(COLUMNS)]
    nets = results.get("ablations", {}).get("amortised", {})
    rows = [(name, results["variants"][name]) for name in order]
    rows += [(f"*{name}*", nets[name]) for name in AMORTISED if name in nets]
    rows += [(f"*{name}*", row) for name, row in results["ceilings"].items()]
    for label, row in rows:
        cells = " | ".join(_cell(row[key], by, digits) for key, _, by, digits in COLUMNS)
        lines.append(f"| {label} | {cells} |")
    said = ["", "Paired differences over tasks, with 95% intervals:", "", *claims(results)]
    return "\n".join([*lines, "", f"*{results['meta']['caption']}*", *said])


def insert(page: str, results: dict[str, Any], *, order: Sequence[str]) -> str:
    """The page with the table between its two marks."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{table(results, order=order)}\n{END}{after}"


def _cell(value: dict[str, float | None], by: float, digits: int) -> str:
    if value["mean"] is None:
        return "–"
    mean = f"{by * value['mean']:.{digits}f}"
    low, high = value["low"], value["high"]
    if low is None or high is None or low == high:
        return mean
    return f"{mean} [{by * low:.{digits}f}, {by * high:.{digits}f}]"


def main() -> None:
    """Rewrite README.md in the working directory."""
    page = Path("README.md")
    order = list(load_config(Path("params.yaml")).variants)
    text = insert(page.read_text(), read_json(Path("reports/results.json")), order=order)
    with atomic_write(page) as part:
        part.write_text(text)
    sys.stdout.write("README.md holds the results of reports/results.json\n")


if __name__ == "__main__":
    main()
