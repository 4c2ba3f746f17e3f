"""When to infer, what the inference is told of the chunk before, and where its chunk goes.

numpy only, and no clock of its own: time comes with every call, progress from the executor.
"""

from __future__ import annotations

from pi0_ros.policy.strategy.base import Pace, Placed, Start, Strategy
from pi0_ros.policy.strategy.choose import STRATEGIES, StrategyOptions, make_strategy
from pi0_ros.policy.strategy.ensemble import TemporalEnsemble
from pi0_ros.policy.strategy.follower import Follower, Progress, Sent
from pi0_ros.policy.strategy.rtc import RealTimeChunking
from pi0_ros.policy.strategy.sequential import Sequential

__all__ = [
    "STRATEGIES",
    "Follower",
    "Pace",
    "Placed",
    "Progress",
    "RealTimeChunking",
    "Sent",
    "Sequential",
    "Start",
    "Strategy",
    "StrategyOptions",
    "TemporalEnsemble",
    "make_strategy",
]
