"""From parameters to a strategy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pi0_ros.policy.strategy.base import Pace, Strategy
from pi0_ros.policy.strategy.ensemble import TemporalEnsemble
from pi0_ros.policy.strategy.rtc import RealTimeChunking
from pi0_ros.policy.strategy.sequential import Sequential
from pi0_ros.policy.types import PolicyError, RtcOptions

#: Names of the strategies.
STRATEGIES = (Sequential.name, TemporalEnsemble.name, RealTimeChunking.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyOptions:
    """``name`` of :data:`STRATEGIES`, "" for the best that the backend can; then details."""

    name: str = ""
    rtc: RtcOptions = field(default_factory=RtcOptions)
    ensemble_decay: float = 0.01

    def __post_init__(self) -> None:
        if self.name and self.name not in STRATEGIES:
            raise PolicyError(
                f"strategy is {self.name!r}; give one of {', '.join(STRATEGIES)},"
                " or leave it empty for the best the checkpoint can"
            )
        if not (math.isfinite(self.ensemble_decay) and self.ensemble_decay >= 0.0):
            raise PolicyError(
                f"ensemble_decay is {self.ensemble_decay}; give 0 (a plain average) or more"
            )


def make_strategy(options: StrategyOptions, pace: Pace, *, can_continue: bool) -> Strategy:
    """The strategy. Raises :class:`PolicyError` for one that the backend cannot follow."""
    name = options.name or (RealTimeChunking.name if can_continue else Sequential.name)
    if name == TemporalEnsemble.name:
        return TemporalEnsemble(pace, options.ensemble_decay)
    if name == Sequential.name:
        return Sequential(pace)
    if not can_continue:
        raise PolicyError(
            "strategy is 'rtc' and this policy cannot continue a chunk: only π0 and π0.5 in this"
            " process can, π0-small and remote servers cannot; use strategy:=sequential"
        )
    return RealTimeChunking(pace, options.rtc)
