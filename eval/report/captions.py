"""What the numbers of a page are, in sentences: beside tables, on every page that has some."""

from __future__ import annotations

from typing import Any

GLOSSARY = (
    "S is the paper's quality score by the scoring CLIP, twice the cosine of edit and prompt plus "
    "that of edit and source: higher is better. L is its training loss, the sum of a CLIP, a "
    "directional and a structure term: lower is better. The "
    "grounding score of a box is how far CLIP's cosine with the source words falls when the box is "
    "hidden: higher is better. NFE is the number of function evaluations: "
    "the UNet evaluations used per task. Candidates are the boxes inpainted for it."
)


def write_glossary(results: dict[str, Any]) -> str:
    """What S, L, NFE and success are, where a page first uses them."""
    return f"{results['meta']['success']} {GLOSSARY}"


def table_caption(results: dict[str, Any]) -> str:
    """What the numbers are, in one paragraph."""
    meta = results["meta"]
    apart = f"; {' and '.join(meta['apart'])} apart" if meta["apart"] else ""
    known = any(row["iou"]["n"] for row in results["variants"].values())
    regions = "mean the task's true box" if known else "are missing: no true box is known"
    failed = {name: n for name, n in results.get("failed", {}).items() if n and "/" not in name}
    told = ", ".join(f"{name} {n}" for name, n in failed.items())
    return (
        f"{meta['caption']} Means over {meta['tasks']['headline']} tasks "
        f"({', '.join(meta['headline'])}{apart}), split {meta['split']}, protocol "
        f"{meta['protocol']}, with 95% bootstrap intervals over tasks. Random draws and random "
        f"starts are averaged over their seeds within a task. Background and edited {regions}."
        + (f" Candidates that were no pictures have no score and win nothing: {told}." * bool(told))
    )
