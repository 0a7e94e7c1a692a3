"""The commands that need no study: `lr-edit score`, `lr-edit evaluate`, `lr-edit photos`."""

from __future__ import annotations

from eval.external.commands.evaluate import evaluate
from eval.external.commands.photos import photos
from eval.external.commands.score import score

COMMANDS = (score, evaluate, photos)
