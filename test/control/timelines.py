"""Chunks placed on the clock, for tests of the motion between their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from arm_with_base import MS

from pi0_ros.control.chunk import ActionChunk
from pi0_ros.control.timeline import Timeline


def timeline(rows: Any, step_ms: int = 20, stamp_ns: int = 0) -> Timeline:
    """A chunk of ``rows`` (H, A) that begins at ``stamp_ns``."""
    actions = np.asarray(rows, dtype=np.float64)
    return Timeline(
        ActionChunk(
            stamp_ns=stamp_ns,
            step_ns=step_ms * MS,
            names=tuple("abcd"[: actions.shape[1]]),
            actions=actions,
            observation_stamp_ns=0,
            sequence=0,
            source_id="a",
            checkpoint_id="tiny",
        )
    )


def assert_derivatives(sample: Any, times_ns: Any, step_ns: int = 1000) -> None:
    """Velocity and acceleration of a motion are the derivatives of its position."""
    for now_ns in times_ns:
        behind, here, ahead = (sample(int(now_ns) + k * step_ns) for k in (-1, 0, 1))
        dt = 2 * step_ns * 1e-9
        scale = 1.0 + np.abs(here).max(axis=1)
        assert np.allclose((ahead[0] - behind[0]) / dt, here[1], atol=1e-4 * scale[1])
        assert np.allclose((ahead[1] - behind[1]) / dt, here[2], atol=1e-3 * scale[2])
