"""The judge that the options of `evaluate` and `audit-judge` name, and what is said of its work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from lr_edit.errors import UserError

if TYPE_CHECKING:
    from eval.external.judges.judging import Judge, Verdicts


_OPTIONS = (
    click.option("--judge-url", help="An OpenAI-compatible server, as http://localhost:8000/v1; "
                 "the key, if it wants one, is OPENAI_API_KEY."),
    click.option("--judge-model", help="The vision-language model that the server is asked for."),
    click.option("--judge-rule", type=click.Choice(["gedit", "editscore", "imgedit"]),
                 help="What it is asked, and how its scores are combined [imgedit for that data "
                 "set, else gedit]."),
    click.option("--judge-passes", type=click.IntRange(1), default=1, show_default=True),
    click.option("--judge-workers", type=click.IntRange(1, 256), default=8, show_default=True),
    click.option("--judge-temperature", type=click.FloatRange(0, 2), default=0.7,
                 show_default=True),
)  # fmt: skip


def judge_options(command: Callable) -> Callable:
    """The options that name a vision-language judge."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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
