"""One line per node on ``/diagnostics``, once a second (REP 107)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

#: The state of a node: level, one-line message, values by key.
Reading = tuple[int, str, Mapping[str, str]]

OK = int.from_bytes(DiagnosticStatus.OK, "little")
WARN = int.from_bytes(DiagnosticStatus.WARN, "little")
ERROR = int.from_bytes(DiagnosticStatus.ERROR, "little")
STALE = int.from_bytes(DiagnosticStatus.STALE, "little")


class DiagnosticsPublisher:
    """Publishes what ``read`` returns as one DiagnosticStatus, at 1 Hz.

    The topic is absolute, as in REP 107. The full name of the node, which precedes ``name``, tells
    two suites apart. The timer runs on the steady clock, so that nodes report in a paused
    simulation too; stamps are ROS time.

    Create it in ``setup`` of a ManagedNode. ``read`` must be quick; what it raises is reported
    as an ERROR and never ends the node.
    """

    def __init__(
        self, node: Node, hardware_id: str, name: str, read: Callable[[], Reading]
    ) -> None:
        self._node = node
        self._hardware_id = hardware_id
        self._name = f"{node.get_fully_qualified_name().lstrip('/')}: {name}"
        self._read = read
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(1.0, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Publish one array now."""
        try:
            level, message, values = self._read()
        except Exception as error:  # an error in the report must not end the node
            level, message, values = ERROR, f"cannot read the diagnostics: {error}", {}
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = [
            DiagnosticStatus(
                level=bytes([level]),
                name=self._name,
                message=message,
                hardware_id=self._hardware_id,
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
        ]
        self._publisher.publish(array)
