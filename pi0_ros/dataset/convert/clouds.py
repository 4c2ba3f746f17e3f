"""Export of a bag's point clouds as NumPy files, because a dataset cannot hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader

from pi0_ros.dataset.convert.bags import Bag
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.stamps import nanoseconds

_TYPE = "sensor_msgs/msg/PointCloud2"


def export_clouds(path: Path, topic: str, out: Path) -> int:
    """Write each cloud of a topic as ``<stamp in ns>.npy`` and return their number.

    A file holds one structured array with the cloud's own fields. Raises :class:`DatasetError` if
    sensor_msgs_py is not installed or the topic has no clouds.
    """
    read_points, deserialize, kind = _ros()
    name = Bag.open(path).topic(topic)
    count = 0
    with Reader(path) as reader:
        connections = [c for c in reader.connections if c.topic == name and c.msgtype == _TYPE]
        if not connections:
            clouds = sorted(c.topic for c in reader.connections if c.msgtype == _TYPE)
            raise DatasetError(f"{path}: no clouds on {name}; it has {', '.join(clouds) or 'none'}")
        out.mkdir(parents=True, exist_ok=True)
        for _, _, data in reader.messages(connections):
            cloud = deserialize(bytes(data), kind)
            points = read_points(cloud, skip_nans=True)
            np.save(out / f"{nanoseconds(cloud.header.stamp)}.npy", points, allow_pickle=False)
            count += 1
    return count


def _ros() -> tuple[Any, Any, Any]:
    try:
        from rclpy.serialization import deserialize_message
        from sensor_msgs.msg import PointCloud2
        from sensor_msgs_py.point_cloud2 import read_points
    except ImportError as error:
        raise DatasetError(
            f"{error.name} is not installed: point clouds are read where ROS 2 is sourced"
            " (sudo apt install ros-jazzy-sensor-msgs-py); there is no wheel of it"
        ) from error
    return read_points, deserialize_message, PointCloud2
