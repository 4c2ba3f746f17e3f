"""The node camera_sync, which turns camera frames and joint states into aligned observations.

It publishes nothing until every stream is fresh, and only sets within the embodiment's
tolerances. See docs/reference/camera_sync.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros import embodiment as embodiments
from pi0_ros.embodiment import Camera
from pi0_ros.embodiment.packing import state_sources
from pi0_ros.messages import message_class
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS, ManagedNode
from pi0_ros.nodes.observations import ObservationWriter
from pi0_ros.nodes.process import run
from pi0_ros.stamps import S_PER_NS
from pi0_ros.sync import AlignedObservation, ObservationBuilder, SyncSummary

_LOG_AGAIN_S = 10.0
# Deeper than for frames, because joint states that arrive while a set is drawn must not be lost.
_JOINT_STATE_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.BEST_EFFORT
)


class CameraSync(ManagedNode):
    """Parameters: ``embodiment`` (name or path), ``image_size`` (pixels, 224)."""

    def __init__(self, **options: Any) -> None:
        super().__init__("camera_sync", **options)
        self.declare_parameter("embodiment", "")
        self.declare_parameter("image_size", 224)
        self._logged: tuple[tuple[str, ...], float] = ((), 0.0)

    def setup(self) -> None:
        """Read the embodiment and create the publisher."""
        size = self.get_parameter("image_size").value
        if not 14 <= size <= 1024:
            raise ValueError(f"image_size is {size}; give pixels from 14 to 1024 (models use 224)")
        self._embodiment = embodiments.load(self.get_parameter("embodiment").value)
        self._writer = ObservationWriter(self._embodiment, size)
        self._builder = ObservationBuilder(self._embodiment, self._writer.views)
        self._publisher = self.create_publisher(ObservationMessage, "observation", COMMAND_QOS)
        jump = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._on_clock_jump,
        )
        self.add_cleanup(jump.unregister)
        DiagnosticsPublisher(self, self._embodiment.name, "camera_sync", self._read_diagnostics)

    def start(self) -> None:
        """Subscribe; sequence numbers start at 0."""
        self._builder.clear()
        self._sequence = 0
        for camera in self._embodiment.cameras:
            kind = message_class(camera.message_type)
            self.create_subscription(kind, camera.topic, self._frame_callback(camera), SENSOR_QOS)
        for topic, source in state_sources(self._embodiment).items():
            kind = message_class(source.message_type)
            self.create_subscription(
                kind, topic, self._joint_state_callback(topic), _JOINT_STATE_QOS
            )

    def _frame_callback(self, camera: Camera) -> Callable[[Any], None]:
        def on_frame(message: Any) -> None:
            self._publish(self._builder.frame(camera.name, message, self._now_ns()))

        return on_frame

    def _joint_state_callback(self, topic: str) -> Callable[[Any], None]:
        def on_joint_state(message: Any) -> None:
            self._publish(self._builder.joint_states(topic, message, self._now_ns()))

        return on_joint_state

    def _publish(self, observed: AlignedObservation | None) -> None:
        if observed is None:
            return
        message = self._writer.message
        message.state = observed.state
        message.sequence = self._sequence
        self._writer.stamp(observed.aligned, self._now_ns())
        self._publisher.publish(message)
        self._sequence += 1

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_clock_jump(self, jump: Any) -> None:
        self.get_logger().warning("the clock jumped back: all frames and joint states forgotten")
        self._builder.clear()

    def _read_diagnostics(self) -> Reading:
        active = self.is_active
        now_ns, aligner = self._now_ns(), self._builder.aligner
        problems = aligner.problems(now_ns) if active else ()
        summary = self._builder.report.summary(now_ns * S_PER_NS, problems, aligner.ages_ns(now_ns))
        if not active:
            return OK, "inactive", summary.values
        if summary.healthy:
            self._logged = ((), 0.0)
            level = WARN if summary.refused or summary.slow else OK
            return level, summary.text, summary.values
        self._warn_of(summary)
        return ERROR, summary.text, summary.values

    def _warn_of(self, summary: SyncSummary) -> None:
        """Log why nothing is published: when the streams at fault change, and every 10 s."""
        last, logged_s = self._logged
        if summary.at_fault != last or time.monotonic() - logged_s > _LOG_AGAIN_S:
            self._logged = (summary.at_fault, time.monotonic())
            self.get_logger().warning(summary.text)


def main() -> None:
    """Run the node as a process of its own."""
    raise SystemExit(run(CameraSync))


if __name__ == "__main__":
    main()
