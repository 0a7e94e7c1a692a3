"""Items over many GPUs and machines: Ray Core actors behind the seam of lr_edit/execution/local.py.

One worker per GPU, or per core where the cluster has no GPU; each loads its models once. A worker
that dies is started anew and its item is made again; what an item raises comes back as a `Failed`.
Results travel through Ray's object store to this process, which alone writes them: the same way
with a shared disk and without. So nothing finished is lost with a worker or the head.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from lr_edit.errors import Unfinished, UserError
from lr_edit.execution.environment import ONE_THREAD, pinned_environment
from lr_edit.execution.local import Failed, attempt

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError:
    raise UserError(
        "the executor `ray` needs the package ray: pip install 'lr-edit[ray]'"
    ) from None

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class _Worker:
    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def attempt(self, item: Any) -> Any:
        return attempt(self._make, item)


def run_over_ray(
    items: Iterable[Any],
    make: Callable[[Any], Any],
    *,
    address: str | None = None,
    patience: float = 10.0,
) -> Iterator[tuple[Any, Any]]:
    """The executor of a cluster: the one at `address` (host:port), or one made of this machine.

    Raises UserError if no cluster answers, and Unfinished once nothing has come for `patience`
    seconds and the head is gone.
    """
    with _connected(address):
        yield from _spread(iter(items), make, patience=patience)


def _spread(
    items: Iterator[Any], make: Callable[[Any], Any], *, patience: float
) -> Iterator[tuple[Any, Any]]:
    """One item at a time per worker: a deadly item takes no other one with it."""
    needs, count = _share()
    worker: Any = ray.remote(_Worker).options(
        **needs,
        max_restarts=-1,
        max_task_retries=3,
        runtime_env={"env_vars": pinned_environment() | ONE_THREAD},
    )
    busy: dict[Any, tuple[Any, Any]] = {}
    for item in islice(items, count):
        hired = worker.remote(make)
        busy[hired.attempt.remote(item)] = item, hired
    while busy:
        done, _ = ray.wait(list(busy), timeout=patience)
        if not done:
            _check_head()
        for reference in done:
            item, hired = busy.pop(reference)
            for following in islice(items, 1):
                busy[hired.attempt.remote(following)] = following, hired
            yield item, _result(reference)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:  # `attempt` lets nothing else through
        raise error.cause from None
    except RayError as error:
        return Failed(f"its worker died, at every try ({type(error).__name__})", str(error))


def _share() -> tuple[dict[str, int], int]:
    """What a worker takes of the cluster, and how many workers that makes."""
    has = ray.cluster_resources()
    if gpus := int(has.get("GPU", 0)):
        return {"num_gpus": 1}, gpus
    return {"num_cpus": 1}, int(has.get("CPU", 1))


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    if address and not _answers(address):
        raise UserError(f"no Ray cluster answers at {address}: start one with `ray start --head`")
    try:
        # No address: a cluster of this machine alone, whatever else runs on it.
        own: dict[str, Any] = {} if address else {"include_dashboard": False}
        if not address:  # it listens on every address of the machine: nobody else gets in
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", uuid4().hex)
        ray.init(address or "local", logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the Ray cluster at {address or 'local'} does not let us in ({error}):"
            " if it asks for a token, set RAY_AUTH_MODE=token"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_head() -> None:
    head = ray.get_runtime_context().gcs_address
    if not _answers(head):
        raise Unfinished(f"the Ray head at {head} went away; what was finished is kept, run again")


def _answers(address: str) -> bool:
    """Whether somebody listens; `auto` and the like are Ray's to find."""
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname is None or place.port is None:
        return True
    try:
        socket.create_connection((place.hostname, place.port), timeout=5).close()
    except OSError:
        return False
    return True
