"""`lr-edit app`: the page, on this machine alone unless a host is named."""

from __future__ import annotations

import os
import socket
import tempfile
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import click

from lr_edit.cli.console import choose_profile, find_config, show
from lr_edit.cli.edit import parse_memory
from lr_edit.errors import UserError
from lr_edit.execution.environment import pin_environment
from lr_edit.workspace.paths import find_weights

HOST = "127.0.0.1"


@click.command()
@click.option("--profile", help="Its frozen models; default: the study's, or picturebook.")
@click.option("--host", default=HOST, show_default=True,
              help="Where it listens; any other lets others in.")  # fmt: skip
@click.option("--port", default=7860, show_default=True, type=click.IntRange(1, 65535))
@click.option("--device", help="cpu, cuda, cuda:1. Default: a GPU if there is one.")
@click.option("--memory", multiple=True, metavar="KEY=VALUE", help="As `lr-edit edit` takes it.")
@click.option("--force", is_flag=True, help="Let picture-book weights edit what is no drawing.")
@click.pass_context
def app(
    context: click.Context, profile: str | None, *, host: str, port: int, device: str | None,
    memory: tuple[str, ...], force: bool,
) -> None:  # fmt: skip
    """Edit pictures in a browser."""
    profile = choose_profile(context, profile)
    root, config = find_config(context)
    changes = dict(map(parse_memory, memory))
    config.models.with_memory(changes)
    weights, params = find_weights(config.models, start=root), root / "params.yaml"
    say = partial(show, err=True)
    if not is_loopback(host):
        say(
            f"lr-edit: {host} is not this machine alone: whoever reaches port {port} can use the "
            "page, for there is no password"
        )
    check_address(host, port)
    pin_environment()
    with tempfile.TemporaryDirectory(prefix="lr-edit-app-") as name:
        os.environ["GRADIO_TEMP_DIR"] = name  # uploads and results: gone with the page
        from lr_edit.app import serve
        from lr_edit.desk import Desk
        from lr_edit.editor import Editor

        study = params if params.is_file() else None
        editor = Editor.from_profile(
            config.profile, device=device, root=weights, study=study, memory=changes
        )
        desk = Desk(editor, folder=Path(name), root=root, profile=profile, force=force)
        serve(desk, host=host, port=port, say=say)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, port: int) -> None:
    """UserError where nothing can listen there."""
    try:
        family, kind, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise UserError(
            f"{host}:{port} cannot be listened on ({error.strerror}): pass another --port, or a "
            "--host of this machine"
        ) from None
