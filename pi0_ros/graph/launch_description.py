"""The declared graph as a launch description, for ``ros2 launch``.

launch and launch_ros are imported only when a launch file calls :func:`describe`, because the other
modules of this package work without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pi0_ros.graph.arguments import ARGUMENTS, Argument, parse_options
from pi0_ros.graph.child import describe_exit
from pi0_ros.graph.declaration import Process
from pi0_ros.graph.options import GraphOptions

if TYPE_CHECKING:
    from launch import LaunchContext, LaunchDescription
    from launch.events.process import ProcessExited


def describe(
    declare: Callable[[GraphOptions], tuple[Process, ...]],
    arguments: Sequence[Argument] = ARGUMENTS,
) -> LaunchDescription:
    """A launch description with these ``arguments`` that starts the declared processes."""
    from launch import LaunchDescription
    from launch.actions import OpaqueFunction

    def start(context: LaunchContext) -> list[Any]:
        given = context.launch_configurations
        values = {a.name: given[a.name] for a in arguments if a.name in given}
        processes = declare(parse_options(values, arguments))
        return [action for process in processes for action in node_actions(process)]

    return LaunchDescription([*map(_declared, arguments), OpaqueFunction(function=start)])


def node_actions(process: Process) -> tuple[Any, ...]:
    """The actions that start one process. If a critical process ends, the launch ends and names it.

    The action is Node and not LifecycleNode, because the nodes configure and activate themselves.
    """
    from launch.actions import RegisterEventHandler
    from launch.event_handlers import OnProcessExit
    from launch_ros.actions import Node

    node = Node(
        package=process.package,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[dict(process.parameters), *filter(None, [process.parameter_file])],
        additional_env=dict(process.environment),
        output="screen",
    )
    if not process.critical:
        return (node,)

    def report(event: ProcessExited, context: LaunchContext) -> None:
        # Only an exception makes `ros2 launch` shut down with exit code 1.
        if not context.is_shutdown:
            raise RuntimeError(f"{process.name} died: {describe_exit(event.returncode)}")

    return RegisterEventHandler(OnProcessExit(target_action=node, on_exit=report)), node


def _declared(argument: Argument) -> Any:
    from launch.actions import DeclareLaunchArgument

    return DeclareLaunchArgument(
        argument.name,
        default_value=argument.default,
        description=argument.description,
        choices=list(argument.choices) or None,
    )
