"""CUDA graphs: what a denoiser launches, recorded once for each shape of its inputs and replayed.

A step of a UNet at full size is a thousand small launches; in batches of a few pictures a GPU waits
for them. The kernels are the same, and so are the values. No option of the package yet: what it
would bring is measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

# A call without arguments -> a call that repeats it in the same memory, and what that call gives.
Record = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]


class Graphs:
    """A forward that is recorded for each shape it meets, and replayed from then on.

    Inputs are copied into the recording's memory, and what comes out is a copy. A call with a bare
    number, which would be a part of its recording, goes to the forward itself. Weights may not
    move afterwards.

    Args:
        forward: From tensors, and what is no number, to tensors.
        device: Where the weights are.
        record: How; a CUDA graph where nothing is said.
    """

    def __init__(
        self, forward: Callable[..., Any], *, device: torch.device, record: Record | None = None
    ) -> None:
        self._forward, self._device = forward, device
        self._record = record or _record_on_gpu()
        self._kept: dict[Any, tuple[list[Tensor], Callable[[], None], Any]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the forward gives."""
        leaves, spec = tree_flatten((args, kwargs))
        given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        rest = tuple(leaf for leaf in leaves if not isinstance(leaf, Tensor))
        if any(isinstance(leaf, int | float) and not isinstance(leaf, bool) for leaf in rest):
            return self._forward(*args, **kwargs)
        key = spec, rest, tuple((one.shape, one.dtype, one.stride()) for one in given)
        if key not in self._kept:
            held = [one.to(self._device, copy=True) for one in given]
            filled = iter(held)
            mixed = [next(filled) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            own_args, own_kwargs = tree_unflatten(mixed, spec)
            self._kept[key] = held, *self._record(lambda: self._forward(*own_args, **own_kwargs))
        held, replay, answer = self._kept[key]
        for mine, one in zip(held, given, strict=True):
            mine.copy_(one)
        replay()
        return tree_map(lambda one: one.clone() if isinstance(one, Tensor) else one, answer)


def record_steps(unet: Any) -> None:
    """Replay the UNet, one recording for each size of a batch."""
    unet.forward = Graphs(unet.forward, device=unet.device)


def _record_on_gpu() -> Record:
    """Recordings of one memory pool: only one is replayed at a time, and its answer is copied."""
    pool = torch.cuda.graph_pool_handle()

    def record(call: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries choose their kernels in the first calls
            for _ in range(2):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            answer = call()
        return graph.replay, answer

    return record
