"""The judge that the options of `evaluate` and `audit-judge` name, and what is said of its work."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lr_edit.errors import UserError

if TYPE_CHECKING:
    from eval.external.judges.judging import Judge, Verdicts


class _Finite(click.FloatRange):
    """A range that holds no NaN, which is neither below nor above any bound."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is no number.", param, ctx)
        return found


_OPTIONS = (
    click.option("--judge-url", help="An OpenAI-compatible server, as http://localhost:8000/v1; "
                 "the key, if it wants one, is OPENAI_API_KEY."),
    click.option("--judge-model", help="The vision-language model that the server is asked for; "
                 "without a server, local-dir:FOLDER or ORG/NAME of the hub's cache."),
    click.option("--judge-rule", type=click.Choice(["gedit", "editscore", "imgedit"]),
                 help="What it is asked, and how its scores are combined [imgedit for that data "
                 "set, else gedit]."),
    click.option("--judge-passes", type=click.IntRange(1), default=1, show_default=True),
    click.option("--judge-workers", type=click.IntRange(1, 256), default=8, show_default=True),
    click.option("--judge-temperature", type=_Finite(0, 2), default=0.7,
                 show_default=True),
)  # fmt: skip


def judge_options(command: Callable) -> Callable:
    """The options that name a vision-language judge."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choose_judge(options: Mapping[str, Any], *, kind: str) -> Judge | None:
    """The judge behind `--judge-url`, or the model of `--judge-model` on this machine; None
    without either. UserError for a server without a model, and a model that is not here."""
    url, model = options["judge_url"], options["judge_model"]
    for name, value in (("--judge-url", url), ("--judge-model", model)):
        if value is not None and not value.strip():
            raise UserError(f"{name} is empty: name a judge, or leave it out")
    if not url and not model:
        _check_none_typed()
        return None
    if not model:
        raise UserError("a server is asked for a model: name it with --judge-model")
    from eval.external.judges import RULES, Endpoint
    from eval.external.judges.judging import Judge

    temperature = options["judge_temperature"]
    rule = RULES[options["judge_rule"] or ("imgedit" if kind == "imgedit" else "gedit")]
    passes, workers = options["judge_passes"], options["judge_workers"]
    if url:
        key = os.environ.get("OPENAI_API_KEY", "")
        served = Endpoint(url, model, key, temperature)
        return Judge(served, rule, model, temperature, passes=passes, workers=workers)
    from eval.external.judges.local import load_local

    here = load_local(model, temperature=temperature)
    return Judge(here, rule, model, temperature, passes=passes, workers=1, weights=here.digest)


def _check_none_typed() -> None:
    """UserError for an option of a judge that was typed where no judge is named."""
    context = click.get_current_context()
    for option in ("judge_rule", "judge_passes", "judge_workers", "judge_temperature"):
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            name = f"--{option.replace('_', '-')}"
            raise UserError(f"{name} is for a judge: name one with --judge-model, or leave it out")


def describe_verdicts(judge: Judge, found: Verdicts) -> dict[str, Any]:
    """For evaluation.json: who judged, how often, and what is missing."""
    return {
        **judge.way,
        "passes": judge.passes,
        "served": list(found.models),
        "weights": judge.weights,
        "answers": found.answers,
        "missing": dict(found.missing),
        "spread_over_passes": {name: found.spread(name) for name in judge.rule.values},
    }
