"""The policy server with the public openpi client, over real sockets."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpi_client.action_chunk_broker import ActionChunkBroker
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from remote_rig import Scripted, serving
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pi0_ros.embodiment import load
from pi0_ros.policy.backends.local import LocalPolicy
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import InferenceOptions
from pi0_ros.policy.remote.protocol import pack, unpack
from pi0_ros.policy.remote.server import PolicyServer, ServerOptions

# The public client leaves its connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TROSSEN, UR5E = load("bimanual_trossen"), load("ur5e")


def observation(**changes: Any) -> dict[str, Any]:
    view = np.zeros((48, 64, 3), dtype=np.uint8)
    message = {"joints": np.zeros(6), "gripper": np.zeros(1), "prompt": "fold the towel"}
    return message | {"base_rgb": view, "wrist_rgb": view} | changes


@pytest.fixture
def scripted() -> Scripted:
    return Scripted(UR5E)


@pytest.fixture
def port(scripted: Scripted) -> Iterator[int]:
    with serving(scripted, UR5E) as port:
        yield port


@pytest.fixture
def raw(port: int) -> Iterator[ClientConnection]:
    """A connection of our own, its metadata read."""
    with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None, proxy=None) as raw:
        raw.recv(10.0)
        yield raw


def ask(raw: ClientConnection, message: Any) -> Any:
    raw.send(pack(message))
    return unpack(raw.recv(10.0))


def test_the_public_client_gets_chunks_of_a_real_checkpoint(checkpoint: Path) -> None:
    policy = LocalPolicy(checkpoint, UR5E, InferenceOptions(num_steps=1, seed=0))
    with serving(policy, UR5E) as port:
        client = WebsocketClientPolicy("127.0.0.1", port)
        metadata = client.get_server_metadata()
        first, second = client.infer(observation()), client.infer(observation())
    assert metadata["checkpoint_id"].startswith("ur5e-tiny-untrained@")
    assert list(first) == ["actions", "policy_timing", "server_timing"]
    assert first["actions"].shape == (50, 7) and first["actions"].dtype == np.float32
    assert np.isfinite(first["actions"]).all()
    assert list(first["policy_timing"]) == ["infer_ms"]
    assert 0.0 < first["policy_timing"]["infer_ms"] <= first["server_timing"]["infer_ms"]
    assert list(first["server_timing"]) == ["infer_ms"]
    assert list(second["server_timing"]) == ["infer_ms", "prev_total_ms"]
    assert second["server_timing"]["prev_total_ms"] > first["server_timing"]["infer_ms"]


def test_the_public_client_drives_an_aloha() -> None:
    images = {c.name: np.zeros((3, 224, 224), dtype=np.uint8) for c in TROSSEN.cameras}
    with serving(Scripted(TROSSEN), TROSSEN) as port:
        broker = ActionChunkBroker(WebsocketClientPolicy("127.0.0.1", port), action_horizon=25)
        steps = [broker.infer({"state": np.zeros(14), "images": images, "prompt": "x"})]
        steps.append(broker.infer({}))
    assert [step["actions"][0] for step in steps] == [0.0, 14.0]


def test_the_metadata_come_first_and_name_the_robot(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}", proxy=None) as raw:
        metadata = unpack(raw.recv(10.0))
    assert metadata["embodiment"] == "ur5e"
    assert metadata["action_names"] == list(UR5E.action_names)
    assert metadata["cameras"] == ["base_camera", "wrist_camera"]
    assert "reset_pose" not in metadata


def test_neither_side_compresses(raw: ClientConnection) -> None:
    assert raw.response is not None
    assert "Sec-WebSocket-Extensions" not in raw.response.headers


def test_frames_may_be_large(raw: ClientConnection, scripted: Scripted) -> None:
    picture = np.zeros((1200, 1600, 3), dtype=np.uint8)
    assert ask(raw, observation(base_rgb=picture, wrist_rgb=picture))["actions"].shape == (50, 7)
    assert scripted.seen[0].images.shape == (2, 224, 224, 3)


def test_the_policy_timing_is_that_of_the_network(raw: ClientConnection) -> None:
    # vision, prefix and denoise of the scripted stages.
    assert ask(raw, observation())["policy_timing"] == {"infer_ms": 14.0}


def health(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10.0) as answer:
        assert answer.status == 200
        body: bytes = answer.read()
    return body


def test_health_is_answered_during_an_inference(port: int, scripted: Scripted) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(20.0)

    scripted.before_answer = wait
    with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as raw:
        raw.recv(10.0)
        raw.send(pack(observation()))
        assert begun.wait(10.0)
        assert health(port) == b"OK\n"
        go_on.set()
        assert "actions" in unpack(raw.recv(10.0))


def test_answers_in_the_order_of_the_requests(raw: ClientConnection, scripted: Scripted) -> None:
    for prompt in ("one", "two", "three"):
        raw.send(pack(observation(prompt=prompt)))
    totals = [unpack(raw.recv(10.0))["server_timing"].get("prev_total_ms") for _ in range(3)]
    assert [seen.prompt for seen in scripted.seen] == ["one", "two", "three"]
    assert totals[0] is None and None not in totals[1:]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pack(observation(base_rgb=3)), "image 'base_rgb' is int"),
        (pack({"state": np.zeros(7), "images": {"cam_9": 0}}), "unknown camera cam_9"),
        (b"\xc1 garbage", "not a msgpack message"),
        ("hello", "a text frame came"),
    ],
)
def test_an_error_is_a_traceback_in_a_text_frame_and_code_1011(
    raw: ClientConnection, frame: bytes | str, problem: str
) -> None:
    raw.send(frame)
    text = raw.recv(10.0)
    assert isinstance(text, str)
    assert text.startswith("Traceback (most recent call last):")
    assert problem in text.splitlines()[-1]
    with pytest.raises(ConnectionClosedError) as closed:
        raw.recv(10.0)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011


def test_the_public_client_raises_what_went_wrong(port: int, scripted: Scripted) -> None:
    def fail() -> None:
        raise PolicyError("out of memory")

    scripted.before_answer = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        WebsocketClientPolicy("127.0.0.1", port).infer(observation())
    scripted.before_answer = lambda: None
    assert "actions" in WebsocketClientPolicy("127.0.0.1", port).infer(observation())


def test_a_client_that_leaves_during_its_inference_disturbs_no_other(
    port: int, scripted: Scripted
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(20.0)

    scripted.before_answer = wait
    with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as leaving:
        leaving.recv(10.0)
        leaving.send(pack(observation()))
        assert begun.wait(10.0)
    go_on.set()
    assert "actions" in WebsocketClientPolicy("127.0.0.1", port).infer(observation())


def test_a_key_is_asked_for_and_health_is_not_behind_it(scripted: Scripted) -> None:
    with serving(scripted, UR5E, api_key="secret") as port:
        for key in (None, "wrong"):
            with pytest.raises(InvalidStatus, match="401"):
                WebsocketClientPolicy("127.0.0.1", port, api_key=key)
        client = WebsocketClientPolicy("127.0.0.1", port, api_key="secret")
        assert "actions" in client.infer(observation())
        assert health(port) == b"OK\n"


def test_another_path_is_no_health_check(port: int) -> None:
    with pytest.raises(urllib.error.HTTPError, match="426"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10.0)


def test_the_default_prompt_is_used_where_none_is_sent(scripted: Scripted) -> None:
    message = observation()
    del message["prompt"]
    with serving(scripted, UR5E, prompt="open the drawer") as port:
        WebsocketClientPolicy("127.0.0.1", port).infer(message)
    assert [seen.prompt for seen in scripted.seen] == ["open the drawer"]


def test_a_port_in_use_is_an_error_that_says_so(port: int, scripted: Scripted) -> None:
    server = PolicyServer(scripted, UR5E, ServerOptions(host="127.0.0.1", port=port))
    with pytest.raises(PolicyError, match=f"cannot listen on 127.0.0.1:{port} .*--port"):
        asyncio.run(server.start())
