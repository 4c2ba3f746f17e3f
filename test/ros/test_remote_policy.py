"""The policy node with a remote server that fails and recovers."""

from __future__ import annotations

import array
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from harness import Graph
from websockets.sync.server import ServerConnection, serve

from pi0_msgs.msg import ActionChunk
from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros.embodiment import CAMERA_SLOTS, load
from pi0_ros.nodes.diagnostics import ERROR, OK
from pi0_ros.nodes.managed import COMMAND_QOS
from pi0_ros.nodes.policy.node import PolicyNode
from pi0_ros.policy.remote.protocol import pack, unpack

UR5E = load("ur5e")
SIZE = 224
ACTIONS = np.arange(350, dtype=np.float32).reshape(50, 7)


class Server:
    """An openpi server that sends ``answer``; it closes the connection if that is None."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[], bytes | str | None] = lambda: pack({"actions": ACTIONS})

    def converse(self, connection: ServerConnection) -> None:
        connection.send(pack({"checkpoint_id": "scripted@0"}))
        for request in connection:
            self.asked.append(unpack(request))
            answer = self.answer()
            if answer is None:
                connection.close_socket()
                return
            connection.send(answer)

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[int]:
        server = serve(self.converse, "127.0.0.1", port, compression=None, max_size=None)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(20.0)


class Robot:
    """A camera_sync played by the test, and the policy node."""

    def __init__(self, ros: Graph, url: str, **parameters: Any) -> None:
        self.ros = ros
        self.chunks = ros.collect(ActionChunk, "action_chunk", COMMAND_QOS)
        self._observation = ros.publisher(ObservationMessage, "observation", COMMAND_QOS)
        given = {"embodiment": "ur5e", "prompt": "fold the towel", "remote": url} | parameters
        self.node = ros.add(PolicyNode, given)

    def observe_until(self, condition: Callable[[], object], what: str) -> None:
        def once() -> bool:
            self._observe()
            self.ros.spin_some()
            return bool(condition())

        self.ros.spin_until(once, what=what)

    def _observe(self) -> None:
        message = ObservationMessage(
            embodiment="ur5e",
            slots=list(CAMERA_SLOTS),
            slot_mask=list(UR5E.slot_mask),
            height=SIZE,
            width=SIZE,
            pixels=array.array("B", bytes(2 * SIZE * SIZE * 3)),
            state_names=list(UR5E.state_names),
            state=[0.5 * i for i in range(7)],
        )
        message.header.stamp = self.node.get_clock().now().to_msg()
        self._observation.publish(message)

    def trouble(self) -> tuple[str, dict[str, str]]:
        """The first error that the diagnostics report; reading them clears it."""
        reading = self.diagnostics()

        def reported() -> bool:
            nonlocal reading
            reading = self.diagnostics()
            return bool(reading[0] == ERROR)

        self.observe_until(reported, "an error in the diagnostics")
        return reading[1:]

    def diagnostics(self) -> tuple[Any, str, dict[str, str]]:
        level, text, values = self.node._read_diagnostics()
        return level, text, dict(values)


def test_the_server_gets_the_observation_and_the_chunk_its_name(ros: Graph) -> None:
    server = Server()
    with server.listening() as port:
        robot = Robot(ros, f"ws://127.0.0.1:{port}")
        robot.observe_until(lambda: robot.chunks, "a chunk")
    sent = server.asked[0]
    assert sent["state"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert sent["images"]["wrist_camera"].shape == (3, SIZE, SIZE)
    assert sent["prompt"] == "fold the towel"
    chunk = robot.chunks[0]
    assert chunk.checkpoint_id == f"remote:127.0.0.1:{port}"
    np.testing.assert_array_equal(np.reshape(chunk.data, (50, 7)), ACTIONS)
    level, text, values = robot.diagnostics()
    assert (level, text) == (OK, "1 chunks")
    assert values["server.checkpoint_id"] == "scripted@0"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda: None, "disconnected"),
        (lambda: "Traceback (most recent call last):\nRuntimeError: CUDA", "RuntimeError: CUDA"),
        (lambda: pack({"actions": ACTIONS[:10]}), "actions have shape (10, 7)"),
        (lambda: pack({"actions": ACTIONS * np.nan}), "actions are not finite in shoulder_pan"),
        (lambda: b"\xc1", "not a msgpack message"),
    ],
    ids=["disconnect", "text frame", "wrong shape", "nan", "garbage"],
)
def test_a_faulty_server_moves_nothing_and_chunks_resume_when_it_is_well(
    ros: Graph, answer: Callable[[], bytes | str | None], problem: str
) -> None:
    server = Server()
    server.answer = answer
    with server.listening() as port:
        robot = Robot(ros, f"ws://127.0.0.1:{port}")
        robot.observe_until(lambda: len(server.asked) >= 2, "a second attempt")
        text, values = robot.trouble()
        assert text.startswith(f"inference failed: policy server ws://127.0.0.1:{port}: ")
        assert problem in text
        assert int(values["inferences_failed"]) >= 1
        assert robot.chunks == []
        server.answer = lambda: pack({"actions": ACTIONS})
        robot.observe_until(lambda: robot.chunks, "a chunk")


def test_the_robot_may_start_before_its_server(ros: Graph) -> None:
    server = Server()
    with server.listening() as port:
        pass
    robot = Robot(ros, f"ws://127.0.0.1:{port}")
    assert robot.node.failure is None
    assert "cannot be reached" in robot.trouble()[0]
    with server.listening(port):
        robot.observe_until(lambda: robot.chunks, "a chunk")


def test_a_server_that_is_silent_is_given_up_and_cleanup_does_not_wait_for_it(ros: Graph) -> None:
    server, go_on = Server(), threading.Event()

    def wait() -> None:
        go_on.wait(20.0)

    server.answer = wait
    with server.listening() as port:
        robot = Robot(ros, f"ws://127.0.0.1:{port}", remote_timeout_s=0.2)
        assert "no answer within 0.2 s" in robot.trouble()[0]
        robot.observe_until(lambda: len(server.asked) >= 2, "a second attempt")
        robot.node.trigger_deactivate()
        robot.node.trigger_cleanup()
        go_on.set()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"inference", "remote"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"checkpoint": "/some/where"}, "remote is 'ws://gpu-box:8000': the checkpoint is the"),
        ({"remote": "gpu-box:8000"}, "remote is 'gpu-box:8000'; give ws://HOST:PORT"),
        ({"remote_layout": "droid"}, "remote_layout 'droid' does not fit ur5e"),
        ({"remote_timeout_s": -1.0}, "remote_timeout_s is -1.0; give a positive number"),
    ],
)
def test_bad_parameters_fail_configure(
    ros: Graph, parameters: dict[str, Any], message: str
) -> None:
    robot = Robot(ros, "ws://gpu-box:8000", **parameters)
    assert message in robot.node.failure
