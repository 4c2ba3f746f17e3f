"""The simulated or mock robot alone; `ros2 launch pi0_bringup bringup.launch.py --show-args`."""

from launch import LaunchDescription

from pi0_ros.graph.arguments import HARDWARE_ARGUMENTS
from pi0_ros.graph.declaration import declare_hardware
from pi0_ros.graph.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """Translate the hardware part of the process graph."""
    return describe(declare_hardware, HARDWARE_ARGUMENTS)
