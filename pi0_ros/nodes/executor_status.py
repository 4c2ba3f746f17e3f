"""A typed, frozen copy of ExecutorStatus, for every program that reads the message."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.control import ExecutorState


class LimitHits(NamedTuple):
    """Numbers of ticks in which a limit of each kind bound the command."""

    position: int = 0
    velocity: int = 0
    acceleration: int = 0
    jerk: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorView:
    """The fields of one ExecutorStatus; vectors are in the order of ``action_names``.

    The counters and ``limit_hits``, one entry for each action dimension, count since activation.
    """

    embodiment: str = ""
    state: ExecutorState = ExecutorState.INACTIVE
    reason: str = ""
    source_id: str = ""
    checkpoint_id: str = ""
    chunk_sequence: int = 0
    chunk_step: int = 0
    chunk_horizon: int = 0
    steps_consumed: int = 0
    action_names: tuple[str, ...] = ()
    command: tuple[float, ...] = ()
    command_velocity: tuple[float, ...] = ()
    limit_hits: tuple[LimitHits, ...] = ()
    vetoed_ticks: int = 0
    ticks: int = 0
    missed_ticks: int = 0
    chunks_accepted: int = 0
    chunks_executed: int = 0
    chunks_refused: int = 0
    underruns: int = 0
    last_refusal: str = ""
    lateness_p50_ms: float = 0.0
    lateness_p99_ms: float = 0.0
    lateness_max_ms: float = 0.0
    cpu_share: float = 0.0

    @classmethod
    def from_message(cls, message: ExecutorStatus) -> ExecutorView:
        """Raises ValueError for a state that :class:`ExecutorState` does not have."""
        # A message without a tick has empty arrays of hits.
        no_hits = [0] * len(message.action_names)
        by_kind = [
            list(getattr(message, f"{kind}_limit_hits")) or no_hits for kind in LimitHits._fields
        ]
        return cls(
            **{name: getattr(message, name) for name in _SCALARS},
            state=ExecutorState(message.state),
            action_names=tuple(message.action_names),
            command=tuple(message.command),
            command_velocity=tuple(message.command_velocity),
            limit_hits=tuple(LimitHits(*hits) for hits in zip(*by_kind, strict=True)),
        )

    @property
    def total_hits(self) -> LimitHits:
        """The hits of each kind, summed over the action dimensions."""
        return LimitHits(*map(sum, zip(*self.limit_hits, strict=True)))


_CONVERTED = {"state", "action_names", "command", "command_velocity", "limit_hits"}
#: Fields that are copied from the message as they are.
_SCALARS = [field.name for field in fields(ExecutorView) if field.name not in _CONVERTED]
