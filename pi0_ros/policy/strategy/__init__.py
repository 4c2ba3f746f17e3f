"""Chunk strategies: when to infer, what the inference is told, and when its chunk starts.

numpy only, and without a clock: every call gets the time, and progress comes from the executor.
"""

from __future__ import annotations

from pi0_ros.policy.strategy.base import (
    ChunkTiming,
    InferenceRequest,
    NoOptions,
    PlacedChunk,
    Strategy,
)
from pi0_ros.policy.strategy.chunk_tracker import (
    ChunkStart,
    ChunkTracker,
    ExecutorProgress,
    SentChunk,
)
from pi0_ros.policy.strategy.ensemble import EnsembleOptions, TemporalEnsemble
from pi0_ros.policy.strategy.rtc import RealTimeChunking
from pi0_ros.policy.strategy.sequential import Sequential
from pi0_ros.policy.strategy.table import StrategyChoice, choose, option_defaults, strategies

__all__ = [
    "ChunkStart",
    "ChunkTiming",
    "ChunkTracker",
    "EnsembleOptions",
    "ExecutorProgress",
    "InferenceRequest",
    "NoOptions",
    "PlacedChunk",
    "RealTimeChunking",
    "SentChunk",
    "Sequential",
    "Strategy",
    "StrategyChoice",
    "TemporalEnsemble",
    "choose",
    "option_defaults",
    "strategies",
]
