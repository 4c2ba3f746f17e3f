"""What a small suite says: one executor status and the diagnostics of every node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pi0_ros.clients.status.model import Level, Report
from pi0_ros.clients.status.suite_monitor import SuiteMonitor
from pi0_ros.control import ExecutorState
from pi0_ros.nodes.executor_status import ExecutorView, LimitHits

CONTROL = ExecutorView(
    embodiment="small_robot",
    state=ExecutorState.EXECUTING,
    reason="",
    source_id="",
    checkpoint_id="tiny@1234",
    chunk_sequence=7,
    chunk_step=9,
    chunk_horizon=50,
    steps_consumed=10,
    action_names=("elbow", "gripper"),
    command=(0.5, 0.0),
    command_velocity=(0.1, 0.0),
    limit_hits=(LimitHits(acceleration=12), LimitHits(position=1)),
    vetoed_ticks=0,
    ticks=1000,
    missed_ticks=2,
    chunks_accepted=8,
    chunks_executed=8,
    chunks_refused=0,
    underruns=0,
    last_refusal="",
    lateness_p50_ms=0.12,
    lateness_p99_ms=0.5,
    lateness_max_ms=123.0,
    cpu_share=0.08,
)
SYNC = {
    "sets": "30",
    "sets_per_s": "30.0",
    "skew_max_ms": "4.0",
    "age_max_ms": "12.0",
    "top.rate_hz": "30.0",
    "top.expected_hz": "30",
    "top.age_ms": "10.0",
    "top.skew_max_ms": "0.0",
    "left/joint_states.rate_hz": "49.0",
    "left/joint_states.expected_hz": "100",
    "left/joint_states.age_ms": "3.0",
}
POLICY = {
    "checkpoint": "tiny@1234",
    "trained": "true",
    "prompt": "pick up the cube",
    "chunks": "8",
    "inferences_failed": "0",
    "latency_p50_ms": "41.0",
    "latency_p95_ms": "60.0",
    "latency_max_ms": "71.0",
}


def control(**changes: Any) -> ExecutorView:
    """The status of a small robot that executes a chunk, changed."""
    return replace(CONTROL, **changes)


def report(
    node: str,
    level: Level = Level.OK,
    message: str = "fine",
    values: dict[str, str] | None = None,
) -> Report:
    """One diagnostic status of a node."""
    return Report(name=f"{node}: task", level=level, message=message, values=values or {})


def healthy(now_s: float = 100.0) -> SuiteMonitor:
    """A suite in which everybody has just spoken, and nobody complained."""
    monitor = SuiteMonitor(domain_id=42, namespace="/")
    monitor.report(report("camera_sync", values=SYNC), now_s)
    monitor.report(report("policy", values=POLICY), now_s)
    monitor.report(
        report("chunk_executor", values={"tracking_error_max": "0.013", "off.elbow": "-0.013"}),
        now_s,
    )
    monitor.control(control(ticks=950), now_s - 1.0)
    monitor.control(CONTROL, now_s)
    return monitor
