"""What `lr-edit score` and `lr-edit evaluate` share: options, networks, tables on a terminal."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lr_edit.cli.console import load_study, say
from lr_edit.errors import UserError

if TYPE_CHECKING:
    from eval.metrics.networks import Network
    from lr_edit.profiles import Profile

SHARED = (
    click.option(
        "--protocol", type=click.Choice(["strict", "pie-bench"]), default="strict",
        show_default=True, help="pie-bench: as PnPInversion's tables; masks get its outer ring.",
    ),
    click.option("--metrics", help="Names or families (mse, psnr, ssim, clip); default: all."),
    click.option("--clip", help="NAME:TAG of open_clip, or local-dir:FOLDER."),
    click.option("--structure", help="A ViT of timm, or local-dir:FOLDER."),
    click.option("--dino", help="The ViT of the DINO score, of timm, or local-dir:FOLDER."),
    click.option("--perceptual", help="LPIPS alex, vgg, squeeze, or local-dir:FOLDER."),
    click.option("--jpeg-75", is_flag=True, help="Take edits as JPEG of quality 75."),
    click.option("--json", "as_json", is_flag=True, help="Print the result for a program."),
)  # fmt: skip
ROLES = ("clip", "structure", "perceptual", "dino")


def shared_options(command: Callable) -> Callable:
    for option in reversed(SHARED):
        command = option(command)
    return command


def load_networks(
    context: click.Context, names: tuple[str, ...], *, sizes: Iterable[tuple[int, int]],
    options: Mapping[str, Any], published: Mapping[str, tuple[str, str | None]] | None = None,
) -> tuple[tuple[str, ...], dict[str, Network]]:  # fmt: skip
    """The metrics whose network is here, and the networks; the rest is left out with a word.

    `published` are the networks of a data set's published numbers. Metrics and networks that were
    asked for by name are never left out: UserError.
    """
    from eval.metrics.suite import SUITE

    for role in ROLES:
        if options[role] and not any(SUITE[name].role == role for name in names):
            raise UserError(f"--{role} names a network that no metric here uses: leave it out, or "
                            f"ask for one with --metrics")  # fmt: skip
    if not any(SUITE[name].role for name in names):
        return names, {}
    from eval.metrics.networks import choose_weights, load_network, say_cure

    logging.getLogger().addHandler(logging.NullHandler())  # what libraries log, a sentence says
    root, profile = find_study(context)
    own = {role: options[role] for role in ROLES}
    weights = choose_weights(
        profile, protocol=options["protocol"], options=own, published=published or {}
    )
    loaded: dict[str, Network] = {}
    for role in ROLES:
        here = [name for name in names if SUITE[name].role == role]
        if not here:
            continue
        bundled = profile is not None and profile.world == "picturebook" and not own[role]
        try:
            if bundled and profile and set(sizes) != {(profile.side, profile.side)}:
                raise UserError(
                    f"the picture book's networks know {profile.side}x{profile.side} drawings "
                    f"alone: name others with --profile or --{role}"
                )
            loaded[role] = load_network(role, weights[role], root=root)
        except UserError as error:
            # The loaders' own cure is the bundled weights'.
            why, *cured = re.split(r"; get (?:it|them) with", str(error), maxsplit=1)
            cure = say_cure(role, weights[role], own=bool(own[role]))
            mend = f"; {cure}" if cured else ""
            if options["metrics"] or own[role]:
                raise UserError(f"{here[0]}: {why}{mend}") from None
            say(f"left out {', '.join(here)}: {why}{mend}")
            names = tuple(name for name in names if name not in here)
        else:
            if bundled:
                say(f"{', '.join(here)} by {weights[role].name}, a stand-in for drawings")
    return names, loaded


def say_unread(networks: Mapping[str, Network], texts: Mapping[str, str | None]) -> None:
    """A notice where CLIP measures by less than the whole text; `texts` by what they are called."""
    from lr_edit.frozen.context import say_what_is_cut

    if clip := networks.get("clip"):
        say_what_is_cut(clip.model.clip, {name: words for name, words in texts.items() if words})


def find_study(context: click.Context) -> tuple[Path, Profile | None]:
    """The checkout and its profile; outside one, the working directory and none."""
    from lr_edit.workspace.paths import find_root

    if context.obj["root"] is None and context.obj["profile"] is None:
        try:
            find_root()
        except UserError:
            return Path.cwd(), None
    root, config = load_study(context)
    return root, config.models


def show_table(head: Iterable[str], lines: Iterable[Iterable[str]], *, title: str) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lr_edit.workspace.inert import show_text

    first, *rest = head
    table = Table(first, title=Text(title), title_justify="left")
    for name in rest:
        table.add_column(name, justify="right")
    for line in lines:  # as it is: a name is no markup
        table.add_row(*(Text(show_text(cell)) for cell in line))
    Console().print(table)
