"""camera_sync as a node: what it publishes, what it refuses, and what it says about it."""

from __future__ import annotations

import array
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import Graph
from PIL import Image as Pixels
from sensor_msgs.msg import CompressedImage, Image, JointState

from pi0_msgs.msg import Observation
from pi0_ros.embodiment import load
from pi0_ros.nodes.camera_sync import CameraSync
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS
from pi0_ros.nodes.observations import time_message
from pi0_ros.stamps import nanoseconds

UR5E = load("ur5e")
SIZE = 32
Change = Callable[[dict[str, Any]], None]


class Robot:
    """The drivers of a ur5e: one round is a frame of each camera and all joint states."""

    def __init__(self, ros: Graph, node: CameraSync, image: type = Image) -> None:
        self.ros, self.node = ros, node
        self.observations = ros.collect(Observation, "observation", COMMAND_QOS)
        self.publishers = {
            topic: ros.publisher(kind, topic, SENSOR_QOS)
            for topic, kind in [
                *((camera.topic, image) for camera in UR5E.cameras),
                *((dimension.topic, JointState) for dimension in UR5E.state),
            ]
        }

    def messages(self) -> dict[str, Any]:
        """One good round, by topic; grey base view, white wrist view."""
        stamp = time_message(self.node.get_clock().now().nanoseconds)
        round_: dict[str, Any] = {}
        for camera, grey in zip(UR5E.cameras, (100, 255), strict=True):
            image = Image(height=48, width=64, encoding="rgb8", step=192)
            image.data = array.array("B", bytes([grey]) * (48 * 192))
            round_[camera.topic] = image
        for topic in dict.fromkeys(dimension.topic for dimension in UR5E.state):
            joints = [d.joint for d in UR5E.state if d.topic == topic]
            numbers = [0.1 * (i + 1) for i in range(len(joints))]
            round_[topic] = JointState(name=joints[::-1], position=numbers[::-1])
        for message in round_.values():
            message.header.stamp = stamp
        return round_

    def play(self, until: Callable[[], object], what: str, change: Change | None = None) -> None:
        """Publish rounds, changed if so wished, until the condition holds."""

        def one_round() -> bool:
            round_ = self.messages()
            if change is not None:
                change(round_)
            # Joint states first, so that the newest frame finds one of its own time.
            for topic in reversed(list(round_)):
                self.publishers[topic].publish(round_[topic])
            self.ros.spin_some()
            return bool(until())

        self.ros.spin_until(one_round, what=what)

    def play_good(self) -> Any:
        """Publish good rounds until a set is out; that set."""
        self.play(lambda: self.observations, "an observation")
        return self.observations[0]

    def diagnosis(self) -> tuple[int, str, dict[str, str]]:
        level, text, values = self.node._read_diagnostics()
        return level, text, dict(values)


@pytest.fixture
def robot(ros: Graph) -> Robot:
    node = ros.add(CameraSync, {"embodiment": "ur5e", "image_size": SIZE})
    assert node.failure is None
    return Robot(ros, node)


def test_publishes_views_state_and_stamps_in_embodiment_order(robot: Robot) -> None:
    found = robot.play_good()
    assert found.embodiment == "ur5e"
    assert found.sequence == 0
    assert list(found.slots) == ["base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"]
    assert list(found.slot_mask) == [True, True, False]
    assert (found.height, found.width) == (SIZE, SIZE)
    views = np.frombuffer(found.pixels, np.uint8).reshape(2, SIZE, SIZE, 3)
    assert (views[0, 4:28] == 100).all()
    assert (views[1, 4:28] == 255).all()
    assert (views[:, :4] == 0).all()
    assert list(found.state_names) == list(UR5E.state_names)
    np.testing.assert_allclose(found.state, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.125])
    assert nanoseconds(found.slot_stamps[0]) == nanoseconds(found.header.stamp)
    assert nanoseconds(found.slot_stamps[2]) == 0
    assert 0.0 <= found.skew_s <= UR5E.sync.camera_skew_s
    assert 0.0 < found.age_s <= UR5E.sync.max_age_s


def test_numbers_the_sets(robot: Robot) -> None:
    robot.play(lambda: len(robot.observations) >= 3, "three observations")
    first = [message.sequence for message in robot.observations[:3]]
    assert first == [0, 1, 2]


def _without_camera(round_: dict[str, Any]) -> None:
    del round_["wrist_camera/camera/color/image_raw"]


def _without_joint(round_: dict[str, Any]) -> None:
    joints = round_["joint_states"]
    joints.name.remove("elbow_joint")
    joints.position.pop()


def _nan_joint(round_: dict[str, Any]) -> None:
    round_["joint_states"].position[0] = float("nan")


def _wrong_encoding(round_: dict[str, Any]) -> None:
    round_["base_camera/camera/color/image_raw"].encoding = "yuv422_yuy2"


def _wrong_size(round_: dict[str, Any]) -> None:
    image = round_["base_camera/camera/color/image_raw"]
    image.width, image.step = 48, 144


def _too_few_bytes(round_: dict[str, Any]) -> None:
    image = round_["base_camera/camera/color/image_raw"]
    image.data = image.data[:-1]


def _frozen(round_: dict[str, Any]) -> None:
    stamp = round_["base_camera/camera/color/image_raw"].header.stamp
    round_["base_camera/camera/color/image_raw"].header.stamp = time_message(
        nanoseconds(stamp) // 10**15 * 10**15
    )


def _shift(topic: str, by_ms: int) -> Change:
    def change(round_: dict[str, Any]) -> None:
        header = round_[topic].header
        header.stamp = time_message(nanoseconds(header.stamp) + by_ms * 1_000_000)

    return change


WRIST = "wrist_camera/camera/color/image_raw"
FAULTS: dict[str, tuple[Change, str, str]] = {
    "a_camera_that_never_publishes": (_without_camera, "wrist_camera", "missing"),
    "joint_states_lacking_a_joint": (_without_joint, "joint_states", "malformed"),
    "a_nan_joint": (_nan_joint, "joint_states", "malformed"),
    "a_wrong_encoding": (_wrong_encoding, "base_camera", "malformed"),
    "a_wrong_size": (_wrong_size, "base_camera", "malformed"),
    "too_few_bytes": (_too_few_bytes, "base_camera", "malformed"),
    "a_frozen_camera": (_frozen, "base_camera", "frozen"),
    "a_skewed_camera": (_shift(WRIST, -120), "wrist_camera", "skewed"),
    "a_stale_camera": (_shift(WRIST, -2000), "wrist_camera", "stale"),
    "a_stamp_in_the_future": (_shift(WRIST, 2000), "wrist_camera", "future"),
    "skewed_joint_states": (_shift("joint_states", -120), "joint_states", "skewed"),
}
SAYS = {
    "joint_states_lacking_a_joint": "joint 'elbow_joint' missing",
    "a_nan_joint": "joint 'wrist_3_joint' is nan",
    "a_wrong_encoding": "encoding is 'yuv422_yuy2', the embodiment says 'rgb8'",
    "a_wrong_size": "size is 48x48, the embodiment says 640x480",
}


@pytest.mark.parametrize("name", FAULTS)
def test_refuses_names_and_counts(name: str, robot: Robot) -> None:
    change, stream, fault = FAULTS[name]
    key = f"{stream}.refused_{fault}"
    seen: dict[str, str] = {}
    text = ""

    def counted() -> bool:
        nonlocal text
        _, said, values = robot.diagnosis()
        text = said if f"{stream}: {fault}" in said else text
        seen.update(values)
        return bool(text) and int(seen.get(key, "0")) >= 3

    robot.play(counted, f"three refusals of {stream}: {fault}", change)
    assert SAYS.get(name, "") in text
    # Nothing was published meanwhile: the first set out is a good one.
    began_ns = robot.node.get_clock().now().nanoseconds
    assert nanoseconds(robot.play_good().header.stamp) >= began_ns


def test_silent_streams_are_named_on_diagnostics(ros: Graph) -> None:
    heard = ros.collect(DiagnosticArray, "/diagnostics", COMMAND_QOS)
    ros.add(CameraSync, {"embodiment": "ur5e"})
    ros.spin_until(lambda: heard, what="diagnostics")
    status = heard[0].status[0]
    assert status.level == b"\x02"
    assert "base_camera: missing" in status.message
    assert "gripper/joint_states: missing" in status.message


def test_deactivated_it_publishes_nothing_and_starts_again_from_0(robot: Robot) -> None:
    robot.play_good()
    robot.node.trigger_deactivate()
    robot.ros.spin_some()
    robot.observations.clear()
    robot.node.trigger_activate()
    began_ns = robot.node.get_clock().now().nanoseconds
    found = robot.play_good()
    assert found.sequence == 0
    assert nanoseconds(found.header.stamp) >= began_ns


def test_a_cleaned_up_node_can_be_configured_again(robot: Robot) -> None:
    robot.node.trigger_deactivate()
    robot.node.trigger_cleanup()
    robot.node.trigger_configure()
    robot.node.trigger_activate()
    assert robot.node.failure is None
    assert robot.play_good().sequence == 0


def test_an_unknown_embodiment_fails_configure(ros: Graph) -> None:
    node = ros.add(CameraSync, {"embodiment": "ur55e"})
    assert "ur5e" in node.failure


def test_a_bad_image_size_fails_configure(ros: Graph) -> None:
    node = ros.add(CameraSync, {"embodiment": "ur5e", "image_size": 0})
    assert node.failure == "image_size is 0; give pixels from 14 to 1024 (models use 224)"


@pytest.fixture
def jpeg_embodiment(tmp_path: Path) -> Path:
    """The ur5e with JPEG cameras, as a user's own file."""
    data = yaml.safe_load(UR5E.path.read_text(encoding="utf-8"))
    for camera in data["cameras"].values():
        camera["message_type"] = "sensor_msgs/msg/CompressedImage"
        camera["encoding"] = "jpeg"
    path = tmp_path / "ur5e_jpeg.yaml"
    path.write_text(yaml.safe_dump(data | {"name": "ur5e_jpeg"}, sort_keys=False))
    return path


def _jpeg(round_: dict[str, Any]) -> None:
    for camera, grey in zip(UR5E.cameras, (100, 255), strict=True):
        data = io.BytesIO()
        Pixels.new("RGB", (64, 48), (grey,) * 3).save(data, "JPEG")
        message = CompressedImage(header=round_[camera.topic].header, format="jpeg")
        message.data = array.array("B", data.getvalue())
        round_[camera.topic] = message


def _cut_jpeg(round_: dict[str, Any]) -> None:
    _jpeg(round_)
    message = round_["base_camera/camera/color/image_raw"]
    message.data = message.data[: len(message.data) // 2]


def test_reads_jpeg_and_refuses_a_cut_one(ros: Graph, jpeg_embodiment: Path) -> None:
    node = ros.add(CameraSync, {"embodiment": str(jpeg_embodiment), "image_size": SIZE})
    assert node.failure is None
    robot = Robot(ros, node, CompressedImage)
    key = "base_camera.refused_malformed"
    robot.play(lambda: int(robot.diagnosis()[2].get(key, 0)) >= 2, "two refusals", _cut_jpeg)
    assert robot.observations == []
    robot.play(lambda: robot.observations, "an observation", _jpeg)
    views = np.frombuffer(robot.observations[0].pixels, np.uint8).reshape(2, SIZE, SIZE, 3)
    assert np.abs(views[0, 4:28].astype(int) - 100).max() <= 2
