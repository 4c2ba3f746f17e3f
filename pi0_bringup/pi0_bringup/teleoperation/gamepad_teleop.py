"""The node ``gamepad_teleop``: jogs joints, end effectors and base by sensor_msgs/Joy.

Nothing moves unless the deadman button is held and messages of the gamepad arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import Joy

from pi0_bringup.teleoperation.jog_source import JogSource
from pi0_bringup.teleoperation.layers import Gamepad, Layer
from pi0_ros.nodes.managed import SENSOR_QOS
from pi0_ros.nodes.process import run
from pi0_ros.stamps import NS_PER_S, S_PER_NS

_LOG_PERIOD_S = 2.0


class GamepadTeleop(JogSource):
    """Parameters and topics are in the reference."""

    def __init__(self, **options: Any) -> None:
        super().__init__("gamepad_teleop", **options)
        self.declare_parameter("deadman_button", 5)
        self.declare_parameter("joy_timeout_s", 0.3)
        self.declare_parameter("dead_zone", 0.1)
        self._joy: Joy | None = None
        self._joy_ns = 0
        self._shares: dict[str, float] = {}

    def prepare(self) -> None:
        self._deadman = self.get_parameter("deadman_button").value
        if self._deadman < 0:
            raise ValueError(f"deadman_button is {self._deadman}; give the number of a button")
        self._timeout_ns = round(self.get_parameter("joy_timeout_s").value * NS_PER_S)
        if self._timeout_ns <= 0:
            raise ValueError(
                "joy_timeout_s is not above 0; give the time after which a silent gamepad releases"
            )
        super().prepare()
        self._gamepad = Gamepad(self.layers, self.get_parameter("dead_zone").value)
        self.create_subscription(Joy, "joy", self._on_joy, SENSOR_QOS)

    def layer(self, name: str) -> Layer:
        return Layer(
            name=name,
            axes=tuple(self.strings(f"{name}.axes")),
            buttons=tuple(self.strings(f"{name}.buttons")),
        )

    def held(self, now_ns: int) -> bool:
        joy = self._joy
        if joy is None or len(joy.buttons) <= self._deadman:
            return False
        return bool(joy.buttons[self._deadman])

    def problem(self, now_ns: int) -> str | None:
        return super().problem(now_ns) or self._gamepad_problem(now_ns)

    def _gamepad_problem(self, now_ns: int) -> str | None:
        joy = self._joy
        if joy is None:
            return None
        silent_ns = now_ns - self._joy_ns
        if silent_ns > self._timeout_ns:
            return f"the gamepad is silent for {silent_ns * S_PER_NS:.1f} s"
        if len(joy.buttons) <= self._deadman:
            return (
                f"deadman_button is {self._deadman} and the gamepad has {len(joy.buttons)} buttons"
            )
        return self._gamepad.missing(joy.axes, joy.buttons)

    def shares(self, now_ns: int) -> Mapping[str, float]:
        return self._shares

    def _on_joy(self, message: Joy) -> None:
        before = self.layers.layer.name, self.layers.selected
        self._joy, self._joy_ns = message, self._now_ns()
        self._shares = self._gamepad.read(message.axes, message.buttons)
        problem = self._gamepad_problem(self._joy_ns)
        if problem is not None:
            self.get_logger().warning(
                f"{problem}: not driving", throttle_duration_sec=_LOG_PERIOD_S
            )
        after = self.layers.layer.name, self.layers.selected
        if after != before:
            self.get_logger().info(f"layer {after[0]}, selected {after[1]}")


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(GamepadTeleop))


if __name__ == "__main__":
    main()
