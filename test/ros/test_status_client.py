"""`pi0 status` against a real executor in a real graph."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
from executor_rig import HORIZON, MEASURED, Rig
from harness import Graph

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.clients.status.client import Listener
from pi0_ros.clients.status.model import Level


def test_shows_what_the_executor_does_against_the_limits_of_its_own_file(
    ros: Graph, tmp_path: Path
) -> None:
    rig = Rig(ros, tmp_path)
    rig.until(ExecutorStatus.HOLDING)
    rig.offer(np.array(MEASURED) + np.linspace(0.0, 0.1, HORIZON)[:, None])
    listener = Listener(ros.domain_id, "/")
    try:

        def known() -> bool:
            rig.tick()
            rig.node._diagnostics.publish()
            listener.listen(0.02)
            joints = listener.snapshot().joints
            return bool(joints) and joints[0].upper is not None

        ros.spin_until(known, what="status and limits")
        snapshot = listener.snapshot()
    finally:
        listener.close()
    assert snapshot.robot == "small_robot"
    assert [joint.name for joint in snapshot.joints] == ["shoulder", "elbow", "gripper", "base"]
    assert snapshot.joints[0].upper == 2.0  # of the file, which no name leads to
    assert snapshot.control is not None
    said = {node.name: node for node in snapshot.nodes}
    assert said["chunk_executor"].level in (Level.OK, Level.WARN)
    assert said["policy"].level is Level.SILENT


def test_without_a_running_suite_it_reports_that_and_exits_with_2(ros: Graph) -> None:
    child = ros.process(
        "pi0_ros.cli.main",
        arguments=("status", "--json", "--timeout", "0"),
        stdout=subprocess.PIPE,
    )
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 2
    found = json.loads(out)
    assert found["heard"] is False
    assert "nothing heard" in found["verdict"]
