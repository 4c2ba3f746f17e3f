"""The recorder beside a running robot; `ros2 launch pi0_ros record.launch.py --show-args`."""

from launch import LaunchDescription

from pi0_ros.graph.arguments import RECORDER_ARGUMENTS
from pi0_ros.graph.declaration import declare_recorder
from pi0_ros.graph.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """Translate the declaration that `pi0 record` starts too."""
    return describe(declare_recorder, RECORDER_ARGUMENTS)
