"""An inpainter that passes on to another what it does not do itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lr_edit.frozen.protocols import Inpainter


class _PassedOn:
    """A value that is the other inpainter's own."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, one: WrappedInpainter, _owner: type) -> Any:
        return getattr(one.inpainter, self._name)

    def __set__(self, one: WrappedInpainter, value: Any) -> None:
        setattr(one.inpainter, self._name, value)


class WrappedInpainter:
    """Counts, noise and predictions of another inpainter; who inherits inpaints."""

    nfe, max_batch, watch = _PassedOn(), _PassedOn(), _PassedOn()
    noise: Callable[..., Any]
    predict: Callable[..., Any]
    nfe_per_image: Callable[..., int]

    def __init__(self, inpainter: Inpainter) -> None:
        self.inpainter = inpainter
        self.noise, self.predict = inpainter.noise, inpainter.predict
        self.nfe_per_image = inpainter.nfe_per_image
