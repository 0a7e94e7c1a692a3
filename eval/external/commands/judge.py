"""The judge that the options of `evaluate` and `audit-judge` name, and what is said of its work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lr_edit.errors import UserError

if TYPE_CHECKING:
    from eval.external.judges.judging import Judge, Verdicts


def choose_judge(options: Mapping[str, Any], *, kind: str) -> Judge | None:
    """The judge behind `--judge-url`; None without one. UserError for half of one."""
    url, model = options["judge_url"], options["judge_model"]
    if not url and not model:
        return None
    if not (url and model):
        raise UserError("a judge is named by --judge-url and --judge-model, both")
    from eval.external.judges import RULES, Endpoint
    from eval.external.judges.judging import Judge

    temperature = options["judge_temperature"]
    key = os.environ.get("OPENAI_API_KEY", "")
    rule = RULES[options["judge_rule"] or ("imgedit" if kind == "imgedit" else "gedit")]
    return Judge(
        Endpoint(url, model, key, temperature), rule, model, temperature,
        passes=options["judge_passes"], workers=options["judge_workers"],
    )  # fmt: skip


def describe_verdicts(judge: Judge, found: Verdicts) -> dict[str, Any]:
    """For evaluation.json: who judged, how often, and what is missing."""
    return {
        **judge.way,
        "passes": judge.passes,
        "served": list(found.models),
        "weights": None,  # a server names its model and shows no weights
        "answers": found.answers,
        "missing": dict(found.missing),
        "spread_over_passes": {name: found.spread(name) for name in judge.rule.values},
    }
