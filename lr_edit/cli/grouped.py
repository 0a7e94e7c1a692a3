"""`lr-edit --help`: commands under what people want to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

GROUPS = {
    "Edit pictures": ("edit", "app", "models", "doctor"),
    "Measure edits, whoever made them": ("evaluate", "score", "audit-judge"),
    "Run the study": ("stage", "study", "where", "pages", "verify"),
    "Compare, and see where a number comes from": ("ui", "publish", "trace"),
    "Pictures to work on": ("data", "photos", "picturebook"),
}


def accept_anywhere(group: click.Group, options: Iterable[click.Parameter]) -> None:
    """Let a group's own options stand after the name of a command too, where it has none of that
    name; the command's help does not repeat them.

    The group's callback keeps them in `context.obj`, by name.
    """

    def keep(context: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            context.obj[str(param.name)] = value

    for command in group.commands.values():
        if isinstance(command, click.Group):
            accept_anywhere(command, options)
            continue
        taken = {name for param in command.params for name in param.opts}
        command.params += [
            click.Option(
                one.opts, type=one.type, is_flag=getattr(one, "is_flag", False), hidden=True,
                expose_value=False, callback=keep,
            )
            for one in options
            if not taken & set(one.opts)
        ]  # fmt: skip


class GroupedHelp(click.Group):
    """A group whose help lists its commands under `GROUPS`; what is in none comes last. An option
    that is given twice is refused: click would take the last and drop the others in silence."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, once its options were counted."""
        name, command, rest = super().resolve_command(ctx, args)
        words = rest[: rest.index("--")] if "--" in rest else rest
        for option in command.params if command else ():
            if isinstance(option, click.Option) and not (option.multiple or option.is_flag):
                given = [word for word in words if word.split("=")[0] in option.opts]
                if len(given) > 1:
                    raise click.UsageError(f"{given[0].split('=')[0]} is given {len(given)} times")
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, a section a purpose."""
        known = {name for names in GROUPS.values() for name in names}
        rest = tuple(name for name in self.list_commands(ctx) if name not in known)
        for title, names in {**GROUPS, "More": rest}.items():
            found = [(name, one) for name in names if (one := self.get_command(ctx, name))]
            if found:
                room = formatter.width - 6 - max(len(name) for name, _ in found)
                with formatter.section(title):
                    formatter.write_dl(
                        [(name, one.get_short_help_str(limit=room)) for name, one in found]
                    )
