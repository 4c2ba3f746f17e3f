"""A bag replayed through the live camera_sync and the converter give identical observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Graph
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from synthetic import SyntheticEpisode, events

from pi0_msgs.msg import Observation
from pi0_ros.dataset import Dataset
from pi0_ros.dataset.convert.bags import Bag
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.dataset.format.info import frame_offset_ns
from pi0_ros.nodes.camera_sync import CameraSync
from pi0_ros.nodes.managed import COMMAND_QOS
from pi0_ros.nodes.observations import time_message
from pi0_ros.stamps import nanoseconds
from pi0_ros.sync import ObservationBuilder, Views

SIZE = 64
TAKE = SyntheticEpisode(duration_s=1.0)
CAMERA = "wrist_camera/camera/color/image_raw"
QOS = QoSProfile(depth=10)


def troubled(take: SyntheticEpisode) -> list[tuple[int, str, Any]]:
    """Events with lost, repeated, late and corrupt frames, and a joint that is NaN."""
    changed: list[tuple[int, str, Any]] = []
    seen = 0
    for log_ns, topic, message in events(take):
        seen += topic == CAMERA
        if topic == "joint_states" and seen == 24:
            broken = replace(message, position=np.full_like(message.position, np.nan))
            changed.append((log_ns, topic, broken))
        elif topic != CAMERA:
            changed.append((log_ns, topic, message))
        elif seen == 9:
            changed.append((log_ns, topic, replace(message, encoding="yuv422")))
        elif seen in (13, 14):
            changed.append((log_ns + 9_000_000, topic, message))  # long after its stamp
        elif seen == 20:
            changed += [(log_ns, topic, message)] * 2
        elif seen != 5:
            changed.append((log_ns, topic, message))
    return sorted(changed, key=lambda event: event[0])


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = EpisodeBagWriter(tmp_path_factory.mktemp("bags"), "episode", TAKE.robot, TAKE.info())
    for log_ns, topic, message in troubled(TAKE):
        writer.add(topic, log_ns, message)
    return writer.finish(TAKE.end_ns)


@pytest.fixture(scope="module")
def live(bag: Path) -> Iterator[list[Any]]:
    """The messages that the real node publishes when the bag is replayed."""
    graph = Graph()
    try:
        yield Replay(graph).play(bag)
    finally:
        graph.close()


class Replay:
    """A real camera_sync on simulated time; it receives a bag in lock-step."""

    def __init__(self, ros: Graph) -> None:
        self.ros = ros
        self.found = ros.collect(Observation, "observation", COMMAND_QOS)
        self.node = ros.add(
            CameraSync, {"embodiment": "ur5e", "image_size": SIZE, "use_sim_time": True}
        )
        assert self.node.failure is None
        self.clock = ros.publisher(Clock, "/clock", QOS)
        self.handled = 0
        builder = self.node._builder
        for name in ("frame", "joint_states"):
            setattr(builder, name, self._counted(getattr(builder, name)))

    def _counted(self, take: Any) -> Any:
        def taken(*arguments: Any) -> Any:
            result = take(*arguments)
            self.handled += 1
            return result

        return taken

    def play(self, path: Path) -> list[Any]:
        kinds = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/JointState": JointState}
        with Reader(path) as reader:
            wanted = [c for c in reader.connections if c.msgtype in kinds]
            publishers = {
                c.topic: self.ros.publisher(kinds[c.msgtype], c.topic, QOS) for c in wanted
            }
            self.ros.spin_until(
                lambda: all(p.get_subscription_count() for p in publishers.values()), what="match"
            )
            self._tell(1)  # the clock jumps to the bag's time before the first message
            for connection, log_ns, data in reader.messages(wanted):
                self._tell(log_ns)
                before = self.handled
                message = deserialize_message(bytes(data), kinds[connection.msgtype])
                publishers[connection.topic].publish(message)
                self.ros.spin_until(lambda before=before: self.handled > before, what="handled")
                self.ros.spin_until(
                    lambda: len(self.found) == self.node._sequence, what="the observation"
                )
        return self.found

    def _tell(self, time_ns: int) -> None:
        def told() -> bool:
            self.clock.publish(Clock(clock=time_message(time_ns)))
            self.ros.spin_some()
            return bool(self.node.get_clock().now().nanoseconds == time_ns)

        self.ros.spin_until(told, what="the clock")


def test_a_bag_gives_the_observations_that_the_live_node_publishes(
    live: list[Any], bag: Path
) -> None:
    robot = TAKE.robot
    views = Views(robot, SIZE)
    builder = ObservationBuilder(robot, views)
    opened = Bag.open(bag)
    cameras = {camera.topic: camera.name for camera in robot.cameras}
    count = 0
    for topic, log_ns, message in opened.messages([*cameras, *builder.joint_topics]):
        take = builder.frame if topic in cameras else builder.joint_states
        observed = take(cameras.get(topic, topic), message, log_ns)
        if observed is None:
            continue
        other = live[count]
        count += 1
        assert bytes(other.pixels) == views.pixels.tobytes()
        assert list(other.state) == observed.state.tolist()
        assert nanoseconds(other.header.stamp) == observed.aligned.stamp_ns
        assert nanoseconds(other.state_stamp) == observed.aligned.state_stamp_ns
        stamps = {nanoseconds(s) for s in other.slot_stamps} - {0}
        assert stamps == {frame.stamp_ns for frame in observed.aligned.frames.values()}
    assert count == len(live) and count > 25
    refused = builder.report.refusals
    assert {fault.value for _, fault in refused} >= {"malformed", "frozen"}


def test_a_dataset_shows_what_the_live_node_had_published_by_then(
    live: list[Any], bag: Path, tmp_path: Path
) -> None:
    options = ConvertOptions(size=SIZE, codec="images")
    convert_bags([bag], tmp_path / "set", options, jobs=1)
    dataset = Dataset.open(tmp_path / "set")
    start_ns = dataset.source(0).start_ns
    stamps = np.array([nanoseconds(message.header.stamp) for message in live])
    assert start_ns in stamps
    assert len(dataset) >= 20
    for index in range(len(dataset)):
        frame = dataset.frame(index)
        time_ns = start_ns + frame_offset_ns(index, dataset.fps)
        newest = live[int(np.searchsorted(stamps, time_ns, side="right")) - 1]
        pixels = np.frombuffer(newest.pixels, np.uint8).reshape(2, SIZE, SIZE, 3)
        for view, name in zip(pixels, ("base_camera", "wrist_camera"), strict=True):
            np.testing.assert_array_equal(frame.images[f"observation.images.{name}"], view)
        np.testing.assert_array_equal(frame.state, np.array(newest.state, dtype=np.float32))
