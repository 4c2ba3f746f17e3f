"""Networks without values, for weights to be put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = (torch.Tensor.normal_, torch.Tensor.uniform_)


class _Uninitialised(TorchFunctionMode):
    """Skips torch.nn.init, and the draws of those of its functions that no mode sees."""

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
def blank() -> Iterator[None]:
    """Modules made inside are on the meta device and not initialised.

    There the initialiser of an embedding would load torch's compiler: seconds at every start.
    """
    with torch.device("meta"), _Uninitialised():
        yield
