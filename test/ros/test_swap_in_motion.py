"""Swapping checkpoints while a mock robot moves; every node is a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import Graph
from policy_rig import UR5E

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.checkpoint import create_untrained
from pi0_ros.embodiment import load


class MovingRobot:
    """The suite on a mock ur5e, with its chunks and statuses."""

    def __init__(self, ros: Graph, checkpoint: Path) -> None:
        self.ros = ros
        self.chunks = ros.collect(ActionChunk, "action_chunk", 100)
        self.statuses = ros.collect(ExecutorStatus, "executor_status", 100)
        common = {"embodiment": "ur5e"}
        policy = {"checkpoint": str(checkpoint), "prompt": "stack", "num_steps": 2, "seed": 0}
        for module, parameters in (
            ("pi0_bringup.mock_robot", {"camera_scale": 0.1}),
            ("pi0_ros.nodes.camera_sync", {}),
            ("pi0_ros.nodes.chunk_executor.node", {}),
            ("pi0_ros.nodes.policy.node", policy),
        ):
            ros.process(module, common | parameters)
        self.wait(lambda: self.executes_chunk_after(0), "the robot moves")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        self.ros.spin_until(condition, 60.0, what)

    def executes_chunk_after(self, sequence: int) -> bool:
        if not self.statuses:
            return False
        status = self.statuses[-1]
        executing = status.state == ExecutorStatus.EXECUTING
        return executing and bool(status.chunk_sequence > sequence)

    def ask(self, path: Path) -> Any:
        request = LoadCheckpoint.Request(path=str(path))
        return self.ros.call(LoadCheckpoint, "/policy/load_checkpoint", request, timeout_s=60.0)


def test_the_executor_takes_the_next_chunk_whatever_the_swap_brings(
    ros: Graph, tmp_path: Path
) -> None:
    for seed, name in enumerate(("first", "second", "corrupt")):
        create_untrained(tmp_path / name, UR5E, seed=seed)
    create_untrained(tmp_path / "franka", load("franka"))
    weights = tmp_path / "corrupt" / "model.safetensors"
    weights.write_bytes(b"\xff" * 1000)

    robot = MovingRobot(ros, tmp_path / "first")
    before = robot.statuses[-1]
    answer = robot.ask(tmp_path / "second")
    assert answer.success, answer.message
    robot.wait(
        lambda: robot.statuses[-1].checkpoint_id == answer.checkpoint_id, "the new one is executed"
    )
    after = robot.statuses[-1]
    for figure in ("ticks", "missed_ticks", "underruns"):
        print(figure, "across the swap:", getattr(after, figure) - getattr(before, figure))

    for name, reason in (("corrupt", "not a safetensors file"), ("franka", "does not fit ur5e")):
        refused = robot.ask(tmp_path / name)
        assert not refused.success
        assert reason in refused.message
        newest = robot.chunks[-1].sequence
        robot.wait(lambda newest=newest: robot.executes_chunk_after(newest), "the robot moves on")
        assert robot.statuses[-1].checkpoint_id == answer.checkpoint_id

    assert robot.statuses[-1].chunks_refused == before.chunks_refused
    sequences = [chunk.sequence for chunk in robot.chunks]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert len({chunk.source_id for chunk in robot.chunks}) == 1
    ids = [chunk.checkpoint_id for chunk in robot.chunks]
    switched = ids.index(answer.checkpoint_id)
    assert set(ids[:switched]) == {before.checkpoint_id}
    assert set(ids[switched:]) == {answer.checkpoint_id}
    commands = [s.command for s in robot.statuses if s.state == ExecutorStatus.EXECUTING]
    assert np.isfinite(commands).all()
