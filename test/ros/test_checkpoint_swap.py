"""Swapping checkpoints while the policy serves: only a good one replaces the old one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Graph
from policy_rig import UR5E, Blocked, PolicyRig, ScriptedPolicy
from rclpy.task import Future
from safetensors.numpy import load_file, save_file

from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.checkpoint import create_untrained
from pi0_ros.embodiment import load
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.policy import Policy

SERVICE = "/policy/load_checkpoint"


def ask(ros: Graph, path: str | Path) -> Any:
    return ros.call(LoadCheckpoint, SERVICE, LoadCheckpoint.Request(path=str(path)), timeout_s=60.0)


class Caller:
    """Calls the service without waiting for the answer."""

    def __init__(self, ros: Graph) -> None:
        self._client = ros.node.create_client(LoadCheckpoint, SERVICE)
        ros.spin_until(self._client.service_is_ready, what="the service")

    def ask(self, path: str) -> Future[LoadCheckpoint.Response]:
        future: Future[LoadCheckpoint.Response] = self._client.call_async(
            LoadCheckpoint.Request(path=path)
        )
        return future


@pytest.fixture
def rig(ros: Graph) -> PolicyRig:
    return PolicyRig(ros)


@pytest.fixture
def blocked_load(rig: PolicyRig) -> Blocked:
    rig.loads["slow"] = blocked_load = Blocked(ScriptedPolicy("new@1"))
    return blocked_load


def test_the_next_chunk_is_of_the_new_checkpoint_and_sequences_go_on(rig: PolicyRig) -> None:
    first = rig.first_chunk()
    rig.loads["new"] = lambda: ScriptedPolicy("new@1")
    answer = ask(rig.ros, "new")
    assert answer.success
    assert answer.checkpoint_id == "new@1"
    assert list(answer.problems) == []
    assert answer.message.startswith("loaded new@1 in ")
    assert answer.message.endswith("it replaces scripted@0")
    second, third = rig.next_chunk(), rig.next_chunk()
    assert [c.checkpoint_id for c in (first, second, third)] == ["scripted@0", "new@1", "new@1"]
    assert [c.sequence for c in (first, second, third)] == [0, 1, 2]
    assert len({c.source_id for c in (first, second, third)}) == 1


def test_progress_of_the_old_checkpoints_chunk_still_brings_the_next(rig: PolicyRig) -> None:
    rig.first_chunk()
    rig.report(0)
    rig.ros.spin_until(
        lambda: rig.node._source.strategy._tracker.current, what="the start of the chunk"
    )
    rig.loads["new"] = lambda: ScriptedPolicy("new@1")
    assert ask(rig.ros, "new").success
    rig.report(UR5E.rates.execution_steps)
    rig.observe_until(lambda: len(rig.chunks) == 2, "a second chunk")
    assert rig.chunks[1].checkpoint_id == "new@1"


def test_a_checkpoint_that_cannot_follow_the_strategy_asked_for_is_refused(ros: Graph) -> None:
    rig = PolicyRig(ros, can_continue=True, strategy="rtc")
    rig.loads["new"] = lambda: ScriptedPolicy("new@1", can_continue=False)
    answer = ask(ros, "new")
    assert not answer.success
    assert "cannot continue a chunk" in answer.message
    assert answer.checkpoint_id == "scripted@0"


def test_the_checkpoint_parameter_and_the_diagnostics_follow(rig: PolicyRig) -> None:
    rig.loads["new"] = lambda: ScriptedPolicy("new@1")
    assert ask(rig.ros, "new").success
    assert rig.node.get_parameter("checkpoint").value == "new"
    assert rig.node._read_diagnostics()[2]["checkpoint"] == "new@1"


def test_chunks_go_on_while_a_checkpoint_loads(rig: PolicyRig, blocked_load: Blocked) -> None:
    answer = Caller(rig.ros).ask("slow")
    rig.ros.spin_until(blocked_load.begun.is_set, what="the load")
    assert rig.node._read_diagnostics()[2]["loading"] == "slow"
    assert [rig.next_chunk().checkpoint_id for _ in range(3)] == ["scripted@0"] * 3
    assert not answer.done()
    blocked_load.go_on.set()
    rig.ros.spin_until(answer.done, what="the answer")
    assert rig.next_chunk().checkpoint_id == "new@1"
    assert "loading" not in rig.node._read_diagnostics()[2]


def test_a_second_request_is_refused_while_one_loads(rig: PolicyRig, blocked_load: Blocked) -> None:
    caller = Caller(rig.ros)
    first = caller.ask("slow")
    rig.ros.spin_until(blocked_load.begun.is_set, what="the load")
    second = ask(rig.ros, "other")
    assert not second.success
    assert second.message == ("busy loading slow; try again when it is done; scripted@0 serves on")
    blocked_load.go_on.set()
    rig.ros.spin_until(first.done, what="the first answer")
    assert first.result().success
    assert rig.next_chunk().checkpoint_id == "new@1"


def test_switches_after_the_inference_that_runs(rig: PolicyRig) -> None:
    rig.backend.answer = blocked = Blocked()
    rig.observe_until(blocked.begun.is_set, "an inference")
    rig.loads["new"] = lambda: ScriptedPolicy("new@1")
    answer = Caller(rig.ros).ask("new")
    rig.ros.spin_until(
        lambda: "checkpoint-load" not in {t.name for t in threading.enumerate()},
        what="the load is done",
    )
    rig.ros.spin_some()
    assert not answer.done()
    blocked.go_on.set()
    rig.ros.spin_until(answer.done, what="the answer")
    assert rig.first_chunk().checkpoint_id == "scripted@0"
    assert rig.next_chunk().checkpoint_id == "new@1"


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (PolicyError("no good"), "no good"),
        (MemoryError(), "MemoryError()"),
        (ScriptedPolicy("large@1", image_size=28), "camera_sync sends 14"),
    ],
    ids=["refused", "out of memory", "other views"],
)
def test_whatever_fails_the_old_checkpoint_serves_on(
    rig: PolicyRig, loaded: Exception | Policy, reason: str
) -> None:
    def fail() -> Policy:
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    rig.loads["bad"] = fail
    answer = ask(rig.ros, "bad")
    assert not answer.success
    assert reason in answer.message
    assert answer.message.endswith("scripted@0 serves on")
    assert [reason in problem for problem in answer.problems] == [True]
    assert answer.checkpoint_id == "scripted@0"
    assert rig.node.get_parameter("checkpoint").value == ""
    assert rig.first_chunk().checkpoint_id == "scripted@0"
    rig.loads["new"] = lambda: ScriptedPolicy("new@1")
    assert ask(rig.ros, "new").success


def test_cleanup_drops_a_load_that_runs(rig: PolicyRig, blocked_load: Blocked) -> None:
    answer = Caller(rig.ros).ask("slow")
    rig.ros.spin_until(blocked_load.begun.is_set, what="the load")
    threading.Timer(0.05, blocked_load.go_on.set).start()
    rig.node.trigger_deactivate()
    rig.node.trigger_cleanup()
    running = {thread.name for thread in threading.enumerate()}
    assert not running & {"checkpoint-load", "checkpoint-service"}
    rig.ros.spin_until(answer.done, what="the answer")
    assert answer.result().message.startswith("the policy is shutting down")
    assert rig.node._policy.checkpoint_id == "scripted@0"


def test_the_service_comes_back_after_a_cleanup(rig: PolicyRig) -> None:
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        getattr(rig.node, f"trigger_{transition}")()
    rig.loads["new"] = lambda: ScriptedPolicy("new@1")
    assert ask(rig.ros, "new").success


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of checkpoints: good ones, and one for each kind of fault."""
    root = tmp_path_factory.mktemp("checkpoints")
    create_untrained(root / "first", UR5E)
    create_untrained(root / "second", UR5E, seed=1)
    create_untrained(root / "truncated", UR5E, seed=2)
    create_untrained(root / "nan", UR5E, seed=3)
    create_untrained(root / "infinite", UR5E, seed=4)
    create_untrained(root / "franka", load("franka"))
    (root / "empty").mkdir()
    _edit(root / "nan", lambda weights: weights["action_out_proj.bias"].fill(np.nan))
    # Finite weights that give infinite actions.
    _edit(root / "infinite", lambda weights: weights["action_out_proj.weight"].fill(3e38))
    weights = root / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    return root


def _edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors")


@pytest.fixture
def real(ros: Graph, checkpoints: Path) -> PolicyRig:
    parameters = {"checkpoint": str(checkpoints / "first"), "num_steps": 2, "seed": 0}
    return PolicyRig(ros, size=224, **parameters)


def test_a_real_checkpoint_takes_over(real: PolicyRig, checkpoints: Path) -> None:
    first = real.first_chunk()
    answer = ask(real.ros, checkpoints / "second")
    assert answer.success, answer.message
    assert answer.load_s > 0.0
    second = real.next_chunk()
    assert second.sequence == first.sequence + 1
    assert second.checkpoint_id == answer.checkpoint_id != first.checkpoint_id
    assert not np.array_equal(second.data, first.data)


@pytest.mark.parametrize(
    ("folder", "reasons"),
    [
        ("truncated", ["truncated or not a safetensors file"]),
        ("nan", ["not finite"]),
        ("infinite", ["the model's output is not finite"]),
        ("empty", ["no model.safetensors"]),
        ("missing", ["no such folder"]),
        ("franka", ["8 state dimensions and ur5e 7"]),
    ],
)
def test_a_bad_checkpoint_leaves_the_old_one_serving_and_says_why(
    real: PolicyRig, checkpoints: Path, folder: str, reasons: list[str]
) -> None:
    before = real.first_chunk()
    answer = ask(real.ros, checkpoints / folder)
    assert not answer.success
    for reason in reasons:
        assert reason in answer.message
        assert any(reason in problem for problem in answer.problems)
    assert answer.checkpoint_id == before.checkpoint_id
    after = real.next_chunk()
    assert (after.checkpoint_id, after.sequence) == (before.checkpoint_id, before.sequence + 1)


def test_the_command_asks_and_its_exit_code_is_the_answer(
    real: PolicyRig, checkpoints: Path
) -> None:
    def run(*words: str) -> tuple[int, str]:
        child = real.ros.process(
            "pi0_ros.cli.main",
            arguments=("checkpoint", "load", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        real.ros.spin_until(lambda: child.poll() is not None, 60.0, "the command ends")
        assert child.stdout is not None
        return child.returncode, child.stdout.read().decode()

    code, said = run(str(checkpoints / "second"))
    assert code == 0
    assert "it replaces ur5e-tiny-untrained@" in said
    code, said = run(str(checkpoints / "empty"), "--node", "policy", "--namespace", "/")
    assert code == 1
    assert "refused: " in said
    assert "no model.safetensors" in said


def test_the_verb_does_not_import_ros() -> None:
    script = "import sys, pi0_ros.cli.checkpoint_load; sys.exit('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
