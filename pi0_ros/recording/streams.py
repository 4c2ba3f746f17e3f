"""The present state of each recorded topic, and whether an episode may start."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from pi0_ros.recording.metadata import Offered
from pi0_ros.recording.topics import EpisodeTopic, Role

# Rates are computed over this time.
_WINDOW_S = 2.0
# A stream is fresh if its last message is at most this many periods, or this time, old.
_FRESH_PERIODS = 5.0
_FRESH_S = 0.5


@dataclass(slots=True)
class StreamState:
    """One topic as it is received now. The receiving thread writes it; any thread may read it.

    ``last_s`` is the steady-clock time of the last message. ``publishers`` counts the publishers;
    ``offered`` is the QoS they offer, for the bag.
    """

    topic: EpisodeTopic
    name: str
    count: int = 0
    last_s: float | None = None
    publishers: int = 0
    offered: tuple[Offered, ...] = ()
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def age_s(self, now_s: float) -> float | None:
        """Seconds since the last message; None if there was none."""
        return None if self.last_s is None else max(0.0, now_s - self.last_s)

    def sample(self, now_s: float) -> None:
        """Sample the count. Call this a few times a second, with the clock that rates refer to."""
        if self._seen and now_s < self._seen[-1][0]:  # the clock was set back
            self._seen.clear()
        self._seen.append((now_s, self.count))
        while len(self._seen) > 2 and self._seen[1][0] < now_s - _WINDOW_S:
            self._seen.popleft()

    def rate_hz(self) -> float:
        """Messages per second in the last seconds."""
        if len(self._seen) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


def not_ready(states: Sequence[StreamState], now_s: float | None = None) -> tuple[str, ...]:
    """The streams that prevent the start of an episode, one sentence each.

    Streams with an expected rate have to be fresh. Streams that the operator added need a message.
    """
    now_s = time.monotonic() if now_s is None else now_s
    return tuple(
        problem
        for state in states
        if (state.topic.expected_hz or state.topic.role is Role.EXTRA)
        and (problem := _stale(state, now_s))
    )


def _stale(state: StreamState, now_s: float) -> str:
    name, expected_hz = state.topic.name, state.topic.expected_hz
    age_s = state.age_s(now_s)
    if age_s is None:
        return f"{name}: {'no message yet' if state.publishers else 'no publisher'}"
    if not state.offered:
        return f"{name}: its publisher is not known yet"
    stale = expected_hz and age_s > max(_FRESH_S, _FRESH_PERIODS / expected_hz)
    return f"{name}: silent for {age_s:.1f} s" if stale else ""
