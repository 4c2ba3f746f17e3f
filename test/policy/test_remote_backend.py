"""The remote backend against our server and against servers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from remote_rig import Script, Scripted, answering, hanging_up, scripted_server, serving
from websockets.sync.server import ServerConnection

from pi0_ros.embodiment import load
from pi0_ros.policy.backends.local import example_observation
from pi0_ros.policy.backends.remote import RemotePolicy, RemotePolicyOptions
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.remote.protocol import pack, unpack

UR5E = load("ur5e")
EXAMPLE = example_observation(UR5E, 224)
ACTIONS = np.arange(350, dtype=np.float32).reshape(50, 7)
GOOD = answering({"actions": ACTIONS})


class Clock:
    """Time that passes when the test says so [s]."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def remote(port: int, clock: Callable[[], float] | None = None, **options: Any) -> Iterator[Any]:
    url = f"ws://127.0.0.1:{port}"
    policy = RemotePolicy(UR5E, RemotePolicyOptions(url=url, **options), clock or Clock())
    try:
        yield policy
    finally:
        policy.close()


@pytest.mark.parametrize("layout", ["images", "ur5"])
def test_our_server_serves_our_robot(layout: str) -> None:
    scripted = Scripted(UR5E)
    with serving(scripted, UR5E) as port, remote(port, layout=layout) as policy:
        chunk = policy.infer(EXAMPLE)
        again = policy.infer(EXAMPLE)
    np.testing.assert_array_equal(chunk.actions, ACTIONS)
    np.testing.assert_array_equal(again.actions, ACTIONS)
    np.testing.assert_array_equal(scripted.seen[0].images, EXAMPLE.images)
    assert scripted.seen[0].prompt == EXAMPLE.prompt


def test_actions_can_be_written_to() -> None:
    with scripted_server(GOOD) as port, remote(port) as policy:
        actions = policy.infer(EXAMPLE).actions
    assert actions.flags.writeable and actions.dtype == np.float32


def test_names_the_server_as_its_checkpoint_and_keeps_what_it_said() -> None:
    said = {"checkpoint_id": "mine@1", "trained": False}
    with scripted_server(answering({"actions": ACTIONS}, said)) as port, remote(port) as policy:
        assert policy.checkpoint_id == f"remote:127.0.0.1:{port}"
        assert policy.trained is True
        policy.infer(EXAMPLE)
        assert policy.trained is False
        assert policy.metadata == said


def test_splits_the_time_into_network_and_server() -> None:
    reply = {"actions": ACTIONS.astype(np.float64), "server_timing": {"infer_ms": 0.001}}
    with scripted_server(answering(reply)) as port, remote(port) as policy:
        chunk = policy.infer(EXAMPLE)
    spent = dict(zip(chunk.stage_names, chunk.stage_ms, strict=True))
    assert list(spent) == ["preprocess", "network", "server", "postprocess", "total"]
    assert spent["server"] == 0.001
    assert sum(chunk.stage_ms[:-1]) == pytest.approx(spent["total"])


def with_nan() -> Any:
    actions = ACTIONS.copy()
    actions[3, 6] = np.nan
    return actions


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (hanging_up, "disconnected"),
        (answering("Traceback (most recent call last):\n  x\nValueError: no"), "ValueError: no$"),
        (answering("busy\nwith others"), "the server failed: busy$"),
        (answering(b"\xc1\xc1"), "2 bytes are not a msgpack message"),
        (answering([1]), "the answer has no actions, only list"),
        (answering({"logits": 1}), "the answer has no actions, only logits"),
        (answering({"actions": [[0.0] * 7] * 50}), "actions are list, an array of floats"),
        (answering({"actions": np.zeros((50, 7), int)}), "actions are int64"),
        (answering({"actions": ACTIONS[:10]}), r"shape \(10, 7\), ur5e needs \(50, 7\)"),
        (answering({"actions": ACTIONS[:, :6]}), r"shape \(50, 6\)"),
        (answering({"actions": ACTIONS[None]}), r"shape \(1, 50, 7\)"),
        (answering({"actions": with_nan()}), "not finite in gripper$"),
        (answering({"actions": ACTIONS.astype(np.float64) * 1e300}), "not finite in"),
        (answering({"actions": ACTIONS}, [1]), "first frame is list"),
        (answering({"actions": ACTIONS}, {"embodiment": "franka"}), "serves embodiment franka"),
        (answering({"actions": ACTIONS}, {"step_duration_s": 0.02}), "this robot needs 0.05"),
        (lambda connection: connection.send("not today"), "the server failed: not today"),
        (lambda connection: connection.send(b"\xc1"), "not a msgpack message"),
        (lambda connection: None, "disconnected"),
    ],
)
def test_says_what_a_faulty_server_did_and_recovers_with_a_good_one(
    script: Script, problem: str
) -> None:
    clock = Clock()
    with scripted_server(script, GOOD) as port, remote(port, clock) as policy:
        with pytest.raises(PolicyError, match=problem) as failed:
            policy.infer(EXAMPLE)
        assert str(failed.value).startswith(f"policy server ws://127.0.0.1:{port}: ")
        clock.now_s += 0.1
        np.testing.assert_array_equal(policy.infer(EXAMPLE).actions, ACTIONS)


def test_a_server_that_answers_too_late_is_not_waited_for_nor_listened_to_later() -> None:
    go_on = threading.Event()

    def slow(connection: ServerConnection) -> None:
        connection.send(pack({}))
        connection.recv()
        go_on.wait(20.0)
        connection.send(pack({"actions": ACTIONS + 1000.0}))

    clock = Clock()
    with scripted_server(slow, GOOD) as port, remote(port, clock, timeout_s=1.0) as policy:
        with pytest.raises(PolicyError, match="no answer within 1 s"):
            policy.infer(EXAMPLE)
        go_on.set()
        clock.now_s += 0.1
        np.testing.assert_array_equal(policy.infer(EXAMPLE).actions, ACTIONS)


def test_an_answer_without_a_request_is_not_taken_for_the_next_one() -> None:
    sent = threading.Event()

    def eager(connection: ServerConnection) -> None:
        connection.send(pack({}))
        connection.recv()
        connection.send(pack({"actions": ACTIONS}))
        connection.send(pack({"actions": ACTIONS + 1000.0}))
        # Its pong says that the client has received what came before.
        connection.ping().wait(20.0)
        sent.set()
        connection.recv()

    clock = Clock()
    with scripted_server(eager, GOOD) as port, remote(port, clock) as policy:
        policy.infer(EXAMPLE)
        assert sent.wait(20.0)
        with pytest.raises(PolicyError, match="sent a frame without a request"):
            policy.infer(EXAMPLE)
        clock.now_s += 0.1
        np.testing.assert_array_equal(policy.infer(EXAMPLE).actions, ACTIONS)


def test_a_connection_lost_between_two_requests_is_made_again_at_once() -> None:
    gone = threading.Event()

    def once(connection: ServerConnection) -> None:
        connection.send(pack({}))
        connection.recv()
        connection.send(pack({"actions": ACTIONS}))
        connection.close()
        gone.set()

    with scripted_server(once, GOOD) as port, remote(port) as policy:
        policy.infer(EXAMPLE)
        assert gone.wait(20.0)
        policy.infer(EXAMPLE)


def test_a_machine_that_never_answers_the_handshake_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            remote(port, timeout_s=0.2) as policy,
            pytest.raises(PolicyError, match=r"no answer within 0\.2 s"),
        ):
            policy.infer(EXAMPLE)


def test_a_server_that_stops_reading_does_not_hang_the_sender() -> None:
    stuck = threading.Event()

    def not_reading(connection: ServerConnection) -> None:
        # Its receiving thread waits for the lock before it reads on.
        with connection.protocol_mutex:
            stuck.wait(20.0)

    large = example_observation(UR5E, 2000)
    with (
        scripted_server(answering_nothing_but_metadata(not_reading)) as port,
        remote(port, timeout_s=0.5) as policy,
    ):
        with pytest.raises(PolicyError, match=r"no answer within 0\.5 s"):
            policy.infer(large)
        stuck.set()


def answering_nothing_but_metadata(then: Script) -> Script:
    def script(connection: ServerConnection) -> None:
        connection.send(pack({}))
        then(connection)

    return script


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def test_waits_longer_after_each_failure_and_says_for_how_long() -> None:
    clock = Clock()
    with remote(free_port(), clock) as policy:
        delays = []
        for _ in range(8):
            with pytest.raises(PolicyError, match=r"cannot be reached \(Connection refused\)"):
                policy.infer(EXAMPLE)
            with pytest.raises(PolicyError, match=r"refused\); next attempt in") as said:
                policy.infer(EXAMPLE)
            delays.append(float(str(said.value).split()[-2]))
            clock.now_s += 5.0
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_good_answer_ends_the_waiting() -> None:
    clock = Clock()
    scripts = (hanging_up, hanging_up, GOOD, hanging_up)
    with scripted_server(*scripts) as port, remote(port, clock) as policy:
        for _ in range(2):
            with pytest.raises(PolicyError, match="disconnected"):
                policy.infer(EXAMPLE)
            clock.now_s += 1.0
        policy.infer(EXAMPLE)
        assert policy._client._delay_s == 0.0


def test_a_wrong_key_is_refused_and_the_message_says_what_to_set() -> None:
    with serving(Scripted(UR5E), UR5E, api_key="secret") as port:
        with (
            remote(port, api_key="wrong") as policy,
            pytest.raises(PolicyError, match="HTTP status 401; set PI0_API_KEY"),
        ):
            policy.infer(EXAMPLE)
        with remote(port, api_key="secret") as policy:
            policy.infer(EXAMPLE)


def test_closing_ends_an_inference_that_is_waiting() -> None:
    asked, failed = threading.Event(), []

    def silent(connection: ServerConnection) -> None:
        connection.send(pack({}))
        unpack(connection.recv())
        asked.set()
        connection.recv()

    def infer(policy: RemotePolicy) -> None:
        try:
            policy.infer(EXAMPLE)
        except PolicyError as error:
            failed.append(str(error))

    with scripted_server(silent) as port, remote(port, timeout_s=100.0) as policy:
        thread = threading.Thread(target=infer, args=(policy,))
        thread.start()
        assert asked.wait(20.0)
        policy.close()
        thread.join(20.0)
        assert len(failed) == 1 and "was closed here" in failed[0]
        assert "remote" not in {thread.name for thread in threading.enumerate()}
        with pytest.raises(PolicyError, match="was closed here"):
            policy.infer(EXAMPLE)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "gpu-box:8000"}, "remote is 'gpu-box:8000'; give ws://HOST:PORT"),
        ({"url": "http://gpu-box:8000"}, "give ws://HOST:PORT"),
        ({"url": "ws://:8000"}, "give ws://HOST:PORT"),
        ({"url": "ws://gpu-box:port"}, "give ws://HOST:PORT"),
        ({"url": "ws://me:secret@gpu-box:8000"}, "give ws://HOST:PORT"),
        ({"timeout_s": 0.0}, r"remote_timeout_s is 0\.0"),
        ({"timeout_s": float("nan")}, "remote_timeout_s is nan"),
        ({"layout": "droid"}, "remote_layout 'droid' does not fit ur5e; give one of images, ur5"),
    ],
)
def test_refuses_options_that_cannot_work(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        RemotePolicy(UR5E, RemotePolicyOptions(**{"url": "ws://gpu-box:8000"} | options))
