"""Captured computations, replayed on new inputs: one launch instead of thousands."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

#: Runs a function without arguments; returns a function that repeats it, and the result.
Capture = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]

_WARM_UP_RUNS = 3


def cuda_capture(device: torch.device) -> Capture:
    """Captures the kernels of a function in a CUDA graph; a replay overwrites its result."""

    def capture(function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        with torch.cuda.device(device):
            _warm_up(function)
            graph = torch.cuda.CUDAGraph()
            # Another thread may load a checkpoint meanwhile, so only check this thread's calls.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                result = function()
        return graph.replay, result

    return capture


def _warm_up(function: Callable[[], Any]) -> None:
    """Runs on a side stream, as capture requires, to select kernels and allocate memory."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP_RUNS):
            function()
    torch.cuda.current_stream().wait_stream(stream)


@dataclass(slots=True, eq=False)
class CapturedGraph:
    """A captured computation: the memory it reads, how to repeat it, the memory it writes.

    ``dependents`` read ``result`` and are dropped with it. ``replays`` counts the runs,
    so that a reader of ``result`` can tell whether it has been overwritten.
    """

    inputs: tuple[Tensor, ...]
    repeat: Callable[[], None]
    result: Any
    dependents: OrderedDict[Hashable, CapturedGraph] = field(default_factory=OrderedDict)
    replays: int = 0

    def run(self, inputs: Sequence[Tensor]) -> Any:
        """Replays on new inputs; the result is overwritten by the next run."""
        for buffer, new in zip(self.inputs, inputs, strict=True):
            buffer.copy_(new, non_blocking=True)
        self.repeat()
        self.replays += 1
        return self.result


class GraphCache:
    """The ``capacity`` latest used captured graphs, with as many dependents of each.

    ``capture`` is :func:`cuda_capture` on a GPU.
    """

    def __init__(self, capture: Capture, *, capacity: int = 8) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}: use at least 1")
        self._capture = capture
        self._capacity = capacity
        self._graphs: OrderedDict[Hashable, CapturedGraph] = OrderedDict()

    def __len__(self) -> int:
        return len(self._graphs)

    def capture(
        self,
        key: Hashable,
        function: Callable[..., Any],
        inputs: Sequence[Tensor],
        *,
        of: CapturedGraph | None = None,
    ) -> CapturedGraph:
        """The graph of ``function`` for ``key``, captured with these inputs if it is new.

        ``of`` is the graph whose result the function reads, if it reads one. The
        function may not depend on anything but its inputs and memory that stays.
        """
        graphs = self._graphs if of is None else of.dependents
        if key not in graphs:
            buffers = tuple(t.clone() for t in inputs)
            repeat, result = self._capture(lambda: function(*buffers))
            graphs[key] = CapturedGraph(inputs=buffers, repeat=repeat, result=result)
            while len(graphs) > self._capacity:
                graphs.popitem(last=False)
        graphs.move_to_end(key)
        return graphs[key]
