"""Counters and latencies of inference, for the diagnostics."""

from __future__ import annotations

import threading
from collections import deque

from pi0_ros.policy.types import Chunk

# Number of latest chunks: about a minute at two chunks per second.
_WINDOW = 120


class PolicyReport:
    """Counts chunks and failures; keeps the latencies of the latest chunks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total_ms: deque[float] = deque(maxlen=_WINDOW)
        self._problem: str | None = None
        self.chunks = 0
        self.failures = 0
        self.refusals = 0

    def published(self, chunk: Chunk) -> None:
        """A chunk was published."""
        with self._lock:
            self.chunks += 1
            self._total_ms.append(chunk.stage_ms[chunk.stage_names.index("total")])

    def failed(self, reason: str) -> None:
        """An inference gave no chunk."""
        with self._lock:
            self.failures += 1
            self._problem = f"inference failed: {reason}"

    def refused(self, reason: str) -> None:
        """An observation did not fit this policy."""
        with self._lock:
            self.refusals += 1
            self._problem = reason

    def latest_problem(self) -> str | None:
        """The latest failure or refusal since the last call."""
        with self._lock:
            problem, self._problem = self._problem, None
            return problem

    def values(self) -> dict[str, str]:
        """Counts and latencies as text, by name."""
        with self._lock:
            values = {
                "chunks": str(self.chunks),
                "inferences_failed": str(self.failures),
                "observations_refused": str(self.refusals),
            }
            ordered = sorted(self._total_ms)
        if ordered:
            last = len(ordered) - 1
            values["latency_p50_ms"] = f"{ordered[round(0.50 * last)]:.1f}"
            values["latency_p95_ms"] = f"{ordered[round(0.95 * last)]:.1f}"
            values["latency_max_ms"] = f"{ordered[-1]:.1f}"
        return values
