"""Robot (simulated, mock or none) and suite; `ros2 launch pi0_ros pi0.launch.py --show-args`."""

from launch import LaunchDescription

from pi0_ros.graph.declaration import declare
from pi0_ros.graph.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """Translate the process graph that `pi0 up` starts too."""
    return describe(declare)
