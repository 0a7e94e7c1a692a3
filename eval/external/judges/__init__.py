"""A vision-language model as a judge of edits: a role like the others, behind a URL or on this
machine (local.py)."""

from __future__ import annotations

from eval.external.judges.answers import Answer, parse_answer
from eval.external.judges.ask import Ask, Endpoint, Unreachable
from eval.external.judges.rules import RULES, Rule

__all__ = ["RULES", "Answer", "Ask", "Endpoint", "Rule", "Unreachable", "parse_answer"]
