"""`lr-edit score`: one edit against its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from eval.external.commands.shared import (
    load_networks,
    say_unread,
    shared_options,
    show_table,
)
from lr_edit.cli.console import PATH, WORDS, say
from lr_edit.errors import UserError
from lr_edit.execution.environment import pin_environment


@click.command()
@click.argument("source", type=PATH)
@click.argument("edited", type=PATH)
@click.option("--mask", type=PATH, help="Black and white; white is what was to be edited.")
@click.option("--prompt", type=WORDS, help="What the edit should show.")
@click.option("--source-prompt", type=WORDS, help="What the source shows.")
@shared_options
@click.pass_context
def score(
    context: click.Context, source: Path, *, edited: Path, mask: Path | None, prompt: str | None,
    source_prompt: str | None, **options: Any,
) -> None:  # fmt: skip
    """Measure one edit against its source."""
    pin_environment()
    from lr_edit.workspace.pictures import read_image

    before, after = read_image(source), read_image(edited)  # a wrong name is said at once
    from eval.external.mask_files import read_mask, size_text
    from eval.external.pairs import check_sizes
    from eval.metrics import pie_bench
    from eval.metrics.pair import Pair
    from eval.metrics.suite import describe_metric, measure
    from eval.study.scores import value_cell

    check_sizes(before, after, path=edited, cure="")
    inside = read_mask(mask) if mask else None
    if inside is not None and inside.shape != before.shape[:2]:
        raise UserError(
            f"mask {mask} is {size_text(inside.shape)} but the images are "
            f"{size_text(before.shape)}: nothing is resized here, make them one size"
        )
    if inside is not None and options["protocol"] == "pie-bench":
        inside = pie_bench.add_ring(inside)
    if options["jpeg_75"]:
        after = pie_bench.jpeg_75(after)
    pair = Pair(before, after, inside, prompt, source_prompt)
    names = _given(options["metrics"], pair)
    names, networks = load_networks(context, names, sizes=[before.shape[1::-1]], options=options)
    say_unread(networks, {"--prompt": prompt, "--source-prompt": source_prompt})
    values = measure(
        pair, names, networks={role: net.model for role, net in networks.items()},
        protocol=options["protocol"],
    )  # fmt: skip
    found = {
        name: {
            "value": value if text and status == "ok" else None,
            "status": status,
            **describe_metric(name),
        }
        for name, value in values.items()
        for text, status in [value_cell(value)]
    }
    nets = {role: {"name": net.name, "sha256": net.digest} for role, net in networks.items()}
    if options["as_json"]:
        result = {"protocol": options["protocol"], "metrics": found, "networks": nets}
        click.echo(json.dumps(result))
        return
    show_table(
        ("metric", "value", "region"),
        [(n, value_cell(v, 6)[0] or "missing", found[n]["region"]) for n, v in values.items()],
        title=f"protocol {options['protocol']}",
    )


def _given(metrics: str | None, pair: Any) -> tuple[str, ...]:
    """The metrics that were asked for, or all that the pair allows; UserError for lacks."""
    from eval.metrics.suite import DEFAULT, FAMILIES, SUITE, select_metrics

    lacks = {name: need for name in SUITE if (need := pair.lacks(SUITE[name].needs))}
    if metrics is not None:
        asked = [name.strip() for name in metrics.split(",")]
        found = select_metrics(asked)
        for name in asked:
            members = FAMILIES.get(name, (name,))  # of a family, what the pair allows
            if all(member in lacks for member in members):
                raise UserError(f"{name} needs --{lacks[members[0]]}")
        return tuple(name for name in found if name not in lacks)
    for need in dict.fromkeys(lacks[name] for name in DEFAULT if name in lacks):
        say(f"left out {', '.join(n for n in DEFAULT if lacks.get(n) == need)}: pass --{need}")
    return tuple(name for name in DEFAULT if name not in lacks)
