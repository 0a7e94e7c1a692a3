"""What to do about errors that are nobody's defect: a library that an extra of the package brings,
a device that is full, a name that no disk takes; and about options that would do nothing.

The base install evaluates edits. A test keeps this table and pyproject.toml the same.
"""

from __future__ import annotations

import errno
from importlib import import_module
from inspect import signature
from pathlib import Path

import click
from click.core import ParameterSource

from lr_edit.errors import UserError, lacks_memory, shorten
from lr_edit.stages import TABLE

# Module -> extra. `study` brings what `edit` does.
EXTRAS = {
    "accelerate": "edit",
    "bitsandbytes": "quantise",
    "diffusers": "edit",
    "tokenizers": "edit",
    "transformers": "edit",
    "gradio": "app",
    "dvc": "study",
    "matplotlib": "study",
    "mlflow": "study",
    "pyarrow": "parquet",
    "ray": "ray",
    "torchao": "quantise",
}

# Modules that one of these brings, and that are asked for first.
BROUGHT_BY = {"alembic": "mlflow", "sqlalchemy": "mlflow"}


def say_missing(error: Exception) -> str | None:
    """What to install, in a sentence; None for any error but a module that an extra brings."""
    module = str(getattr(error, "name", None)).split(".")[0]
    module = BROUGHT_BY.get(module, module)
    if not isinstance(error, ModuleNotFoundError) or module not in EXTRAS:
        return None
    return f"this needs {module}: `pip install 'lr-edit[{EXTRAS[module]}]'`"


# What a disk answers where a name is wrong, or somebody's rights, not the disk.
_MISNAMED = {
    errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM
}  # fmt: skip


def say_misnamed(error: Exception) -> str | None:
    """The same for a file's name, the user's to mend, and for a working directory that somebody
    removed; None for any other error."""
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENOENT and not error.filename:  # the answer to: where are we?
        return "the working directory is gone: change into a folder that is there"
    if error.errno not in _MISNAMED:
        return None
    name = str(error.filename or "a name")  # too long to be read whole
    shown = shorten(Path(name), most=80)
    return f"{shown} cannot be used ({(error.strerror or '').lower()}): mend it or name another"


def say_exhausted(error: Exception) -> str | None:
    """The same where models or pictures do not fit the memory, or what is printed no device (a
    file's error has its name); None for any other error."""
    if getattr(error, "errno", None) == errno.ENOSPC and not getattr(error, "filename", None):
        return "what is printed cannot be written (no space left there): send it to another place"
    if not lacks_memory(error):
        return None
    return (
        "out of memory: end other programs; on a GPU `--memory offload=group`, or `memory:` of the "
        "profile, takes less; what was finished is kept"
    )


def check_executor(context: click.Context, name: str, *, executor: str) -> None:
    """UserError for options that were typed and would do nothing."""
    typed = {option for option in ("executor", "address")
             if context.get_parameter_source(option) is ParameterSource.COMMANDLINE}  # fmt: skip
    if typed and "execute" not in signature(import_module(TABLE[name]).run).parameters:
        raise UserError(f"stage {name!r} takes no --{min(typed)}: leave it out")
    if "address" in typed and executor != "ray":
        raise UserError("--address is a Ray head's: say --executor ray too, or leave it out")
