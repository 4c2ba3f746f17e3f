"""Checkpoints swapped while the policy serves: a good one takes over, any other never does."""

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
from policy_rig import UR5E, Scene, Scripted
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
    """Asks without waiting for the answer."""

    def __init__(self, ros: Graph) -> None:
        self._client = ros.node.create_client(LoadCheckpoint, SERVICE)
        ros.spin_until(self._client.service_is_ready, what="the service")

    def ask(self, path: str) -> Future[LoadCheckpoint.Response]:
        future: Future[LoadCheckpoint.Response] = self._client.call_async(
            LoadCheckpoint.Request(path=path)
        )
        return future


class Gate:
    """A load that waits until it is let go."""

    def __init__(self, policy: Policy) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._policy = policy

    def __call__(self) -> Policy:
        self.begun.set()
        self.go_on.wait(30.0)
        return self._policy


@pytest.fixture
def scene(ros: Graph) -> Scene:
    return Scene(ros)


@pytest.fixture
def gate(scene: Scene) -> Gate:
    scene.loads["slow"] = gate = Gate(Scripted("new@1"))
    return gate


def test_the_next_chunk_is_of_the_new_checkpoint_and_sequences_go_on(scene: Scene) -> None:
    first = scene.first_chunk()
    scene.loads["new"] = lambda: Scripted("new@1")
    answer = ask(scene.ros, "new")
    assert answer.success
    assert answer.checkpoint_id == "new@1"
    assert list(answer.problems) == []
    assert answer.message.startswith("loaded new@1 in ")
    assert answer.message.endswith("it replaces scripted@0")
    second, third = scene.next_chunk(), scene.next_chunk()
    assert [c.checkpoint_id for c in (first, second, third)] == ["scripted@0", "new@1", "new@1"]
    assert [c.sequence for c in (first, second, third)] == [0, 1, 2]
    assert len({c.source_id for c in (first, second, third)}) == 1


def test_progress_of_the_old_checkpoints_chunk_still_brings_the_next(scene: Scene) -> None:
    scene.first_chunk()
    scene.report(0)
    scene.ros.spin_until(
        lambda: scene.node._source.strategy._tracker.current, what="the start of the chunk"
    )
    scene.loads["new"] = lambda: Scripted("new@1")
    assert ask(scene.ros, "new").success
    scene.report(UR5E.rates.execution_steps)
    scene.observe_until(lambda: len(scene.chunks) == 2, "a second chunk")
    assert scene.chunks[1].checkpoint_id == "new@1"


def test_a_checkpoint_that_cannot_follow_the_strategy_asked_for_is_refused(ros: Graph) -> None:
    scene = Scene(ros, can_continue=True, strategy="rtc")
    scene.loads["new"] = lambda: Scripted("new@1", can_continue=False)
    answer = ask(ros, "new")
    assert not answer.success
    assert "cannot continue a chunk" in answer.message
    assert answer.checkpoint_id == "scripted@0"


def test_the_checkpoint_parameter_and_the_diagnostics_follow(scene: Scene) -> None:
    scene.loads["new"] = lambda: Scripted("new@1")
    assert ask(scene.ros, "new").success
    assert scene.node.get_parameter("checkpoint").value == "new"
    assert scene.node._read_diagnostics()[2]["checkpoint"] == "new@1"


def test_chunks_go_on_while_a_checkpoint_loads(scene: Scene, gate: Gate) -> None:
    answer = Caller(scene.ros).ask("slow")
    scene.ros.spin_until(gate.begun.is_set, what="the load")
    assert scene.node._read_diagnostics()[2]["loading"] == "slow"
    assert [scene.next_chunk().checkpoint_id for _ in range(3)] == ["scripted@0"] * 3
    assert not answer.done()
    gate.go_on.set()
    scene.ros.spin_until(answer.done, what="the answer")
    assert scene.next_chunk().checkpoint_id == "new@1"
    assert "loading" not in scene.node._read_diagnostics()[2]


def test_a_second_request_is_refused_while_one_loads(scene: Scene, gate: Gate) -> None:
    caller = Caller(scene.ros)
    first = caller.ask("slow")
    scene.ros.spin_until(gate.begun.is_set, what="the load")
    second = ask(scene.ros, "other")
    assert not second.success
    assert second.message == ("busy loading slow; try again when it is done; scripted@0 serves on")
    gate.go_on.set()
    scene.ros.spin_until(first.done, what="the first answer")
    assert first.result().success
    assert scene.next_chunk().checkpoint_id == "new@1"


def test_switches_after_the_inference_that_runs(scene: Scene) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(30.0)

    scene.backend.answer = wait
    scene.observe_until(begun.is_set, "an inference")
    scene.loads["new"] = lambda: Scripted("new@1")
    answer = Caller(scene.ros).ask("new")
    scene.ros.spin_until(
        lambda: "checkpoint-load" not in {t.name for t in threading.enumerate()},
        what="the load is done",
    )
    scene.ros.spin_some()
    assert not answer.done()
    go_on.set()
    scene.ros.spin_until(answer.done, what="the answer")
    assert scene.first_chunk().checkpoint_id == "scripted@0"
    assert scene.next_chunk().checkpoint_id == "new@1"


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (PolicyError("no good"), "no good"),
        (MemoryError(), "MemoryError()"),
        (Scripted("large@1", image_size=28), "camera_sync sends 14"),
    ],
    ids=["refused", "out of memory", "other views"],
)
def test_whatever_fails_the_old_checkpoint_serves_on(
    scene: Scene, loaded: Exception | Policy, reason: str
) -> None:
    def fail() -> Policy:
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    scene.loads["bad"] = fail
    answer = ask(scene.ros, "bad")
    assert not answer.success
    assert reason in answer.message
    assert answer.message.endswith("scripted@0 serves on")
    assert [reason in problem for problem in answer.problems] == [True]
    assert answer.checkpoint_id == "scripted@0"
    assert scene.node.get_parameter("checkpoint").value == ""
    assert scene.first_chunk().checkpoint_id == "scripted@0"
    scene.loads["new"] = lambda: Scripted("new@1")
    assert ask(scene.ros, "new").success


def test_cleanup_drops_a_load_that_runs(scene: Scene, gate: Gate) -> None:
    answer = Caller(scene.ros).ask("slow")
    scene.ros.spin_until(gate.begun.is_set, what="the load")
    threading.Timer(0.05, gate.go_on.set).start()
    scene.node.trigger_deactivate()
    scene.node.trigger_cleanup()
    left = {thread.name for thread in threading.enumerate()}
    assert not left & {"checkpoint-load", "checkpoint-service"}
    scene.ros.spin_until(answer.done, what="the answer")
    assert answer.result().message.startswith("the policy is shutting down")
    assert scene.node._policy.checkpoint_id == "scripted@0"


def test_the_service_comes_back_after_a_cleanup(scene: Scene) -> None:
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        getattr(scene.node, f"trigger_{transition}")()
    scene.loads["new"] = lambda: Scripted("new@1")
    assert ask(scene.ros, "new").success


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of checkpoints: three good ones, and what can be wrong with one."""
    root = tmp_path_factory.mktemp("checkpoints")
    create_untrained(root / "first", UR5E)
    create_untrained(root / "second", UR5E, seed=1)
    create_untrained(root / "truncated", UR5E, seed=2)
    create_untrained(root / "nan", UR5E, seed=3)
    create_untrained(root / "infinite", UR5E, seed=4)
    create_untrained(root / "franka", load("franka"))
    (root / "empty").mkdir()
    _edit(root / "nan", lambda weights: weights["action_out_proj.bias"].fill(np.nan))
    # Finite numbers, and actions that are not.
    _edit(root / "infinite", lambda weights: weights["action_out_proj.weight"].fill(3e38))
    weights = root / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    return root


def _edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors")


@pytest.fixture
def real(ros: Graph, checkpoints: Path) -> Scene:
    parameters = {"checkpoint": str(checkpoints / "first"), "num_steps": 2, "seed": 0}
    return Scene(ros, size=224, **parameters)


def test_a_real_checkpoint_takes_over(real: Scene, checkpoints: Path) -> None:
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
    real: Scene, checkpoints: Path, folder: str, reasons: list[str]
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


def test_the_command_asks_and_its_exit_code_is_the_answer(real: Scene, checkpoints: Path) -> None:
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
