"""The hub, where it can be reached; else its libraries' cache alone: asked for a file, they would
try five times to reach it, for every name that the file may have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5.0  # in which the hub answers, or does not


@contextmanager
def hub_or_cache() -> Iterator[bool]:
    """Around a library's loader: whether the hub answers. Where it does not, or where the user
    wants none of it (HF_HUB_OFFLINE), what is in the cache is loaded, and nothing is waited for."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield not constants.HF_HUB_OFFLINE
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    from huggingface_hub.utils import get_session

    try:
        get_session().head(address, timeout=SECONDS)
    except Exception:  # its HTTP library's own, which is another one from version to version
        return False
    return True
