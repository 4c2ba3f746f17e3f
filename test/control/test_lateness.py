"""Statistics of tick lateness."""

from __future__ import annotations

import pytest
from arm_with_base import MS

from pi0_ros.control import Lateness


def test_reports_the_percentiles_of_what_was_recorded():
    lateness = Lateness(rate_hz=50.0, window_s=2.0)
    for ms in range(101):
        lateness.record(ms * MS)
    summary = lateness.summary()  # the first of 101 has left the window of 100
    assert summary.p50_ms == pytest.approx(50.5)
    assert summary.max_ms == pytest.approx(100.0)


def test_is_zero_before_the_first_tick():
    assert Lateness(50.0).summary().max_ms == 0.0


def test_counts_missed_ticks_without_a_window():
    lateness = Lateness(rate_hz=1.0, window_s=1.0)
    lateness.record(0, missed=3)
    lateness.record(0)
    assert lateness.missed == 3
