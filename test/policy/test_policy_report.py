"""Counters and latencies of the policy."""

from __future__ import annotations

import numpy as np

from pi0_ros.policy.report import PolicyReport
from pi0_ros.policy.types import Chunk


def chunk(total_ms: float) -> Chunk:
    return Chunk(actions=np.zeros((1, 1), np.float32), stage_ms=(total_ms,), stage_names=("total",))


def test_reports_latencies_of_the_latest_chunks() -> None:
    report = PolicyReport()
    for total_ms in (30.0, 10.0, 20.0):
        report.published(chunk(total_ms))
    values = report.values()
    assert values["chunks"] == "3"
    assert values["latency_p50_ms"] == "20.0"
    assert values["latency_max_ms"] == "30.0"


def test_a_problem_is_reported_once_and_counted_for_good() -> None:
    report = PolicyReport()
    report.failed("out of memory")
    assert report.latest_problem() == "inference failed: out of memory"
    assert report.latest_problem() is None
    assert report.values()["inferences_failed"] == "1"


def test_says_nothing_of_latency_before_the_first_chunk() -> None:
    assert "latency_p50_ms" not in PolicyReport().values()
