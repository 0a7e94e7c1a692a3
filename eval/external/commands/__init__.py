"""The commands that measure and report: any editor's results, photos to gather, pages."""

from __future__ import annotations

from eval.external.commands.audit import audit_judge
from eval.external.commands.evaluate import evaluate
from eval.external.commands.pages import pages
from eval.external.commands.photos import photos
from eval.external.commands.score import score

COMMANDS = (score, evaluate, photos, pages, audit_judge)
