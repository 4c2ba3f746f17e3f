"""A camera encoding of another package: sent by the mock robot, shown to the policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import Graph
from installed import Install
from sensor_msgs.msg import Image

from pi0_bringup.mock_robot import MockRobot
from pi0_msgs.msg import Observation
from pi0_ros.embodiment import EmbodimentError, load
from pi0_ros.nodes.camera_sync import CameraSync
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A ur5e whose cameras send mono16."""
    file = tmp_path / "grey.yaml"
    text = load("ur5e").path.read_text(encoding="utf-8")
    file.write_text(text.replace("encoding: rgb8", "encoding: mono16"), encoding="utf-8")
    return str(file)


def test_without_the_package_the_known_encodings_are_named(path: str) -> None:
    complaint = r"'mono16' is not an encoding of sensor_msgs/msg/Image that can be read; use rgb8"
    with pytest.raises(EmbodimentError, match=complaint):
        load(path)


def test_frames_of_the_mock_robot_reach_the_observation(
    ros: Graph, install: Install, path: str
) -> None:
    install("pi0_ros.camera_encodings", "mono16 = lab_camera:Mono16")
    frames = ros.collect(Image, load(path).cameras[0].topic, SENSOR_QOS)
    seen = ros.collect(Observation, "observation", COMMAND_QOS)
    robot = ros.add(MockRobot, {"embodiment": path, "camera_scale": 0.1})
    sync = ros.add(CameraSync, {"embodiment": path, "image_size": 56})
    assert robot.failure is None and sync.failure is None
    ros.spin_until(lambda: frames and seen, what="a frame and an observation")
    assert (frames[-1].encoding, frames[-1].step) == ("mono16", 128)
    view = np.frombuffer(seen[-1].pixels, np.uint8).reshape(-1, 56, 56, 3)[0]
    assert view.max() > 150
    np.testing.assert_array_equal(view[..., 0], view[..., 2])
