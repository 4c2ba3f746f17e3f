"""Networks without allocated weights, to be filled from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = (torch.Tensor.normal_, torch.Tensor.uniform_)


class _Uninitialised(TorchFunctionMode):
    """Skips torch.nn.init, and the random draws of those of its functions that bypass a mode."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS or getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


@contextmanager
def init_empty_weights() -> Iterator[None]:
    """Modules created inside are on the meta device and are not initialised.

    On that device, the initialiser of an embedding would import torch's compiler, which takes
    seconds.
    """
    with torch.device("meta"), _Uninitialised():
        yield
