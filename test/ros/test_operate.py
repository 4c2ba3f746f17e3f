"""`pi0 robot` against a real executor: its answer, and its exit code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from executor_rig import Rig
from harness import Graph

from pi0_msgs.msg import ExecutorStatus


def operate(ros: Graph, *words: str) -> tuple[int, str]:
    """Run it to its end while the executor is spun."""
    child = ros.process(
        "pi0_ros.cli.main",
        arguments=("robot", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    ros.spin_until(lambda: child.poll() is not None, 20.0, "the answer")
    assert child.stdout is not None
    return child.returncode, child.stdout.read().decode()


def test_prints_what_the_executor_answers(ros: Graph, tmp_path: Path) -> None:
    rig = Rig(ros, tmp_path)
    rig.until(ExecutorStatus.HOLDING)
    assert operate(ros, "stop") == (0, "stopped by ~/stop\n")
    assert rig.tick().state == ExecutorStatus.STOPPED
    code, said = operate(ros, "reset")
    assert code == 1
    assert said.startswith("refused: ")


def test_reports_an_executor_that_does_not_answer(ros: Graph) -> None:
    code, said = operate(ros, "stop", "--namespace", "cell", "--timeout", "0.1")
    assert code == 2
    assert said.startswith("/cell/chunk_executor/stop did not answer within 0.1 s")
