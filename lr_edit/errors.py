"""Exceptions that the command line says as one sentence: the user's to mend (exit code 2), and work
that is left over (exit code 1)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """What was wrong, where, and what to do, in one sentence."""


class Unfinished(Exception):
    """Some items are left over; what was finished is kept, and running again goes on there."""


class Notice(UserWarning):
    """What the command line says once in passing: something was taken otherwise than it stands."""


def shorten(value: object, *, most: int = 200) -> str:
    """A value as a sentence can hold it: a text in quotes, a path or an error as it is; without
    line ends or characters that steer a terminal, and cut in its middle."""
    if isinstance(value, Path | BaseException):
        value = str(value)
        text = value if value.isprintable() else repr(value)[1:-1]
    else:  # only so much of a long text is looked at
        text = repr(value[: 4 * most] if isinstance(value, str) else value)
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


@contextmanager
def reading(path: Path, *, cure: str) -> Iterator[None]:
    """Around what takes a file to be what its stage wrote: UserError where it is not."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not what its stage wrote ({shorten(error)}): {cure}") from error


def check_flag(name: str, value: object) -> None:
    """UserError unless it is True or False: a text, "no" too, would count as true."""
    if value is not True and value is not False:
        raise UserError(f"{name} is {shorten(value)}: give True or False")


# How PyTorch, the system, its loader of libraries and oneDNN say that memory is full.
_FULL = ("can't allocate memory", "cannot allocate memory", "failed to map segment",
         "could not create a primitive")  # fmt: skip


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or what it came of, is that memory was full; PyTorch's own is known by its
    name, so that nothing is imported for this."""
    while error is not None:
        said = str(error).lower()
        named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        if named or any(words in said for words in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def suggest_name(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the known name closest to `name`, else the known names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def describe_error(error: ValidationError, model: Any, *, also: tuple[str, ...] = ()) -> str:
    """The first thing that `model` found wrong in its parameters, in words; a key that it does not
    know with the nearest one that it does (at the top, `also` these)."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _fields(model, first["loc"]) + list(also if len(first["loc"]) == 1 else ())
        return f"unknown parameter {where!r}{suggest_name(str(first['loc'][-1]), known)}"
    said = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict) else f", got {shorten(first['input'], most=60)}"
    return f"parameter {where!r}: {said[:1].lower()}{said[1:]}{given}"


def _fields(model: Any, location: tuple) -> list[str]:
    """The known names where an unknown key was found."""
    for part in location[:-1]:
        if not hasattr(model, "model_fields") or part not in model.model_fields:
            continue  # a name in a table, such as a variant's
        kind = model.model_fields[part].annotation
        parts = [p for p in getattr(kind, "__args__", [kind]) if p not in (type(None), ...)]
        model = parts[-1]
    return list(getattr(model, "model_fields", None) or getattr(model, "__dataclass_fields__", {}))
