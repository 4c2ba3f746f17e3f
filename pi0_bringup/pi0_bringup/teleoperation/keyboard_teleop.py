"""The node ``keyboard_teleop``: jogs joints, end effectors and base by the keys of its terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.logging import LoggingSeverity
from rich.console import Console
from rich.live import Live

from pi0_bringup.teleoperation.jog_source import JogSource
from pi0_bringup.teleoperation.keyboard_screen import screen
from pi0_bringup.teleoperation.keys import Keys, check_key, key_names
from pi0_bringup.teleoperation.layers import Layer
from pi0_ros.nodes.process import run
from pi0_ros.system.keys import KeyReader

_SCREEN_PERIOD_S = 0.1


class KeyboardTeleop(JogSource):
    """Parameters are in the reference. The terminal is restored, however the node ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__("keyboard_teleop", **options)
        self.declare_parameter("pulse_s", 0.12)
        self.declare_parameter("hold_s", 1.0)

    def prepare(self) -> None:
        super().prepare()
        self._keys = Keys(
            self.layers,
            self.get_parameter("pulse_s").value,
            self.get_parameter("hold_s").value,
        )
        self._terminal = KeyReader(sys.stdin.fileno() if sys.stdin.isatty() else -1)
        self._terminal.__enter__()
        self.add_cleanup(self._terminal.restore)
        self._live = Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True)
        self._live.start()
        self.add_cleanup(self._live.stop)
        # On the steady clock: a paused simulation must not freeze the screen.
        self.create_timer(
            _SCREEN_PERIOD_S, self._draw, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def layer(self, name: str) -> Layer:
        keys, targets = self.strings(f"{name}.keys"), self.strings(f"{name}.targets")
        if len(keys) != len(targets):
            raise ValueError(
                f"{name}.keys has {len(keys)} and {name}.targets {len(targets)}; give one target "
                "for each key"
            )
        for key in keys:
            try:
                check_key(key)
            except ValueError as error:
                raise ValueError(f"{name}.keys: {error}") from error
        return Layer(name=name, keys=dict(zip(keys, targets, strict=True)))

    def start(self) -> None:
        super().start()
        # Log lines would be drawn across the screen, which shows the state.
        self.get_logger().set_level(LoggingSeverity.ERROR)

    def held(self, now_ns: int) -> bool:
        for key in key_names(self._terminal.read()):
            self._keys.press(key, now_ns)
        return self._keys.held(now_ns)

    def shares(self, now_ns: int) -> Mapping[str, float]:
        return self._keys.shares(now_ns)

    def _draw(self) -> None:
        now_ns = self._now_ns()
        moving = frozenset(self.shares(now_ns))
        problem = self.problem(now_ns)
        state = self.state if problem is None else problem
        view = screen(self.robot, self.layers, self.commanded, moving, state)
        self._live.update(view, refresh=True)


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(KeyboardTeleop))


if __name__ == "__main__":
    main()
