"""`pi0 up` with real nodes: the whole graph starts and stops together."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import Graph
from source_prefix import running_programs, write_prefix

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.nodes.managed import LATCHED_QOS

NODES = {"mock_robot", "chunk_executor", "camera_sync", "policy"}


class Suite:
    """A running `pi0 up ur5e --hardware mock` in the test's graph."""

    def __init__(self, ros: Graph, folder: Path) -> None:
        from pi0_ros.checkpoint import create_untrained
        from pi0_ros.embodiment import load

        create_untrained(folder / "checkpoint", load("ur5e"))
        self.prefix = write_prefix(folder / "prefix")
        ros.environment["AMENT_PREFIX_PATH"] = str(self.prefix)
        self._ros = ros
        self._log = folder / "log"
        self.statuses = ros.collect(ExecutorStatus, "cell/executor_status", LATCHED_QOS)
        self.process = self._start(folder / "checkpoint")
        ros.spin_until(self.is_executing, 60.0, "a chunk is executed")
        self.pids = running_programs(self.prefix)

    def _start(self, checkpoint: Path) -> subprocess.Popen[bytes]:
        options = {
            "--hardware": "mock",
            "--checkpoint": str(checkpoint),
            "--prompt": "yes: 10",
            "--namespace": "cell",
            "--threads": "1",
        }
        words = [word for option in options.items() for word in option]
        with self._log.open("wb") as log:
            return self._ros.process(
                "pi0_ros.cli.main",
                arguments=("up", "ur5e", *words),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_executing(self) -> bool:
        return any(s.state == ExecutorStatus.EXECUTING for s in self.statuses)

    def wait(self) -> int:
        self._ros.spin_until(lambda: self.process.poll() is not None, 40.0, "pi0 up ends")
        return self.process.returncode

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def suite(ros: Graph, tmp_path: Path) -> Suite:
    return Suite(ros, tmp_path)


def test_starts_the_graph_and_an_interrupt_stops_it_with_the_arm_held(suite: Suite) -> None:
    assert set(suite.pids) == NODES
    assert "[pi0] started mock_robot, chunk_executor, camera_sync, policy" in suite.log()
    suite.process.send_signal(signal.SIGINT)
    assert suite.wait() == 0
    assert running_programs(suite.prefix) == {}
    assert suite.statuses[-1].state in (ExecutorStatus.HOLDING, ExecutorStatus.INACTIVE)


def test_a_killed_node_is_reported_by_name_and_takes_the_robot_to_its_stop(suite: Suite) -> None:
    os.kill(suite.pids["policy"], signal.SIGKILL)
    assert suite.wait() == 1
    assert "[pi0] policy died: killed by SIGKILL" in suite.log()
    assert running_programs(suite.prefix) == {}
    assert suite.statuses[-1].state in (ExecutorStatus.HOLDING, ExecutorStatus.INACTIVE)


def test_the_nodes_stop_in_order_when_pi0_up_itself_is_killed(ros: Graph, suite: Suite) -> None:
    suite.process.kill()
    ros.spin_until(lambda: not running_programs(suite.prefix), 60.0, "every node has ended")
    assert suite.statuses[-1].state in (ExecutorStatus.HOLDING, ExecutorStatus.INACTIVE)
