"""Colours for runs: told apart by everybody, and never two alike. MLflow's own collide."""

from __future__ import annotations

import colorsys

# Okabe and Ito's eight (yellow darkened for white pages), then Tol's muted ones.
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f7f7f", "#b8a200",
    "#332288", "#882255", "#44aa99", "#999933", "#aa4499", "#117733", "#6699cc", "#661100",
)  # fmt: skip


def free_colour(taken: set[str]) -> str:
    """The first colour that is not taken; when all are, a new hue by the golden ratio."""
    for colour in COLOURS:
        if colour not in taken:
            return colour
    red, green, blue = colorsys.hls_to_rgb(len(taken) * 0.618034 % 1, 0.45, 0.55)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
