"""The node ``leader_arms``: the robot follows leader arms that a human moves.

The embodiment names the topics and joints of the leaders. The gesture of the embodiment starts
the motion, or a switch on the topic ``deadman`` that is held; ``~/release`` ends it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from pi0_bringup.teleoperation.leaders import Approach, GestureSwitch, LeaderArms, check_start
from pi0_bringup.teleoperation.source import Setpoint, TeleopSource
from pi0_ros.arrays import FloatArray
from pi0_ros.nodes.managed import SENSOR_QOS
from pi0_ros.nodes.process import run
from pi0_ros.stamps import NS_PER_S, S_PER_NS

_SWITCHES = ("gesture", "topic")
#: The gesture counts after it was made for this time [s].
_GESTURE_S = 0.3
#: Time between two log lines that say why the gesture starts nothing [s].
_LOG_PERIOD_S = 5.0


class LeaderArmsNode(TeleopSource):
    """Parameters and topics are in the reference."""

    def __init__(self, **options: Any) -> None:
        super().__init__("leader_arms", **options)
        self.declare_parameter("deadman", "gesture")
        self.declare_parameter("leader_timeout_s", 0.2)
        self.declare_parameter("start_tolerance", 1.0)
        self.declare_parameter("approach_share", 0.15)
        self._pressed_ns: int | None = None

    def prepare(self) -> None:
        self._timeout_ns = round(self.get_parameter("leader_timeout_s").value * NS_PER_S)
        self._leaders = LeaderArms(self.robot, self.get_parameter("leader_timeout_s").value)
        self._switch_kind = self.get_parameter("deadman").value
        if self._switch_kind not in _SWITCHES:
            raise ValueError(
                f"deadman is {self._switch_kind!r}; give one of {', '.join(_SWITCHES)}"
            )
        if self._switch_kind == "gesture" and not self._leaders.teleop.start_dimensions:
            raise ValueError(
                f"{self.robot.path} has no teleop.start gesture; add one or set deadman to topic"
            )
        self._tolerance = self.get_parameter("start_tolerance").value
        share = self.get_parameter("approach_share").value
        if not (self._tolerance > 0.0 and 0.0 < share <= 1.0):
            raise ValueError(
                f"start_tolerance is {self._tolerance} and approach_share {share}; give a "
                "tolerance above 0 and a share of the velocity limits up to 1"
            )
        self._speed = share * self.robot.limits.velocity[self._leaders.rows]
        self._switch = GestureSwitch(_GESTURE_S)
        self._listen()

    def _listen(self) -> None:
        for topic in self._leaders.topics:
            on_joints = partial(self._on_joints, topic)
            self.create_subscription(JointState, topic, on_joints, SENSOR_QOS)
        self.create_subscription(Bool, "deadman", self._on_deadman, SENSOR_QOS)
        self.create_service(Trigger, "~/release", self._on_release)

    def start(self) -> None:
        self._switch = GestureSwitch(_GESTURE_S)
        super().start()

    def held(self, now_ns: int) -> bool:
        if self._switch_kind == "topic":
            pressed_ns = self._pressed_ns
            return pressed_ns is not None and now_ns - pressed_ns <= self._timeout_ns
        if self.engagement.reason:
            self._switch.off()  # the gesture has to be made again
        problem = None if self._switch.on else self.problem(now_ns)
        if problem is not None:
            self.get_logger().warning(
                f"cannot start: {problem}", throttle_duration_sec=_LOG_PERIOD_S
            )
        if self._leaders.problem(now_ns) is None:
            self._switch.update(self._leaders.gesture(), now_ns)
        elif not self._switch.on:
            self._switch.off()  # a silent leader was not seen without the gesture
        return self._switch.on

    def problem(self, now_ns: int) -> str | None:
        return super().problem(now_ns) or self._leaders.problem(now_ns)

    def engage(self, commanded: FloatArray, now_ns: int) -> None:
        difference = commanded[self._leaders.rows] - self._leaders.at(now_ns)[0]
        check_start(self._leaders, difference, self._tolerance, self._switch_kind == "gesture")
        self._approach = Approach(difference, self._speed)
        self.get_logger().info(f"approaching the leaders in {self._approach.duration_s:.1f} s")

    def advance(self, now_ns: int, elapsed_s: float) -> Setpoint:
        position, rate = self._leaders.at(now_ns)
        offset, offset_rate = self._approach.offset((now_ns - self._engaged_ns) * S_PER_NS)
        return Setpoint(self._leaders.names, position + offset, rate + offset_rate)

    def _on_joints(self, topic: str, message: JointState) -> None:
        self._leaders.update(topic, message.name, message.position, self._now_ns())

    def _on_deadman(self, message: Bool) -> None:
        self._pressed_ns = self._now_ns() if message.data else None

    def _on_release(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success = self.engagement.driving
        response.message = "released" if response.success else "the leaders were not driving"
        self._switch.off()
        self._pressed_ns = None
        return response


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(LeaderArmsNode))


if __name__ == "__main__":
    main()
