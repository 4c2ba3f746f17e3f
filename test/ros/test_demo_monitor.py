"""What the demonstration takes down of the executor's reports."""

from __future__ import annotations

from harness import Graph

from pi0_bringup.demo.monitor import Monitor
from pi0_msgs.msg import ExecutorStatus
from pi0_ros.control import ExecutorState
from pi0_ros.embodiment import load
from pi0_ros.nodes.managed import LATCHED_QOS


def test_chunks_refused_before_the_pose_was_known_are_not_counted(ros: Graph) -> None:
    monitor = ros.add(lambda **_: Monitor(load("ur5e"), 2.0))
    publisher = ros.publisher(ExecutorStatus, "executor_status", LATCHED_QOS)
    ticks = monitor.recording.ticks
    for state, refused in (
        (ExecutorStatus.WAITING, 1),
        (ExecutorStatus.HOLDING, 2),
        (ExecutorStatus.EXECUTING, 3),
        (ExecutorStatus.EXECUTING, 5),
    ):
        expected = len(ticks.time_s) + (state == ExecutorStatus.EXECUTING)
        publisher.publish(ExecutorStatus(state=state, chunks_refused=refused))
        ros.spin_until(
            lambda state=state, expected=expected: (
                monitor.state == ExecutorState(state).name.lower() and len(ticks.time_s) == expected
            ),
            what="the report",
        )
    assert monitor.recording.last is not None
    assert monitor.recording.last.chunks_refused == 3
