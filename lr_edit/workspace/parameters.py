"""A part of the parameters: what a stage is given, so that it cannot read what is in no key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lr_edit.config import Config


def keep_parameters(config: Config, names: Iterable[str]) -> Config:
    """The configuration with these parameters alone, named as in params.yaml: reading another one
    is an AttributeError.

    Of `profiles` the chosen one is kept, or the parts of it that are named too. Names that are none
    of its own are passed over, such as `base`, which is in every variant.
    """
    names, wanted = set(names), dict[str, Any]()
    if "profiles" in names:
        names -= {"profiles"}
        names |= set() if _any_below("profiles", names) else {f"profiles.{config.profile}"}
    for name in sorted(names, reverse=True):  # a whole after its parts, which it takes in
        *above, last = name.split(".")
        at = wanted
        for part in above:
            at = at.setdefault(part, {})
        at[last] = {}
    return _kept(config, wanted)


def _any_below(top: str, names: Iterable[str]) -> bool:
    return any(name.startswith(f"{top}.") for name in names)


def _kept(value: Any, names: dict[str, Any]) -> Any:
    if not names:
        return value
    known = value if isinstance(value, dict) else vars(value)
    parts = {name: _kept(known[name], inner) for name, inner in names.items() if name in known}
    if isinstance(value, dict):
        return parts
    kept = value.model_copy()
    object.__setattr__(kept, "__dict__", parts)
    return kept
