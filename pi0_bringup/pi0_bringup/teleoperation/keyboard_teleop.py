"""The node ``keyboard_teleop``: jogs joints, hands and base from the keys of its terminal."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.logging import LoggingSeverity
from rich.console import Console
from rich.live import Live

from pi0_bringup.teleoperation.hands import declare_jog_parameters, jog_of, strings
from pi0_bringup.teleoperation.keyboard_screen import screen
from pi0_bringup.teleoperation.keys import Keys, check_key, key_names
from pi0_bringup.teleoperation.layers import Layer, Layers, default_layers
from pi0_bringup.teleoperation.source import TeleopSource, Wanted
from pi0_ros.nodes.managed import run
from pi0_ros.system.keys import KeyReader

_SCREEN_PERIOD_S = 0.1


class KeyboardTeleop(TeleopSource):
    """Parameters are in the reference. The terminal is restored however the node ends."""

    declares_in_setup = True  # those of every hand and layer that is named

    def __init__(self, **options: Any) -> None:
        super().__init__("keyboard_teleop", **options)
        declare_jog_parameters(self)
        self.declare_parameter("pulse_s", 0.12)
        self.declare_parameter("hold_s", 1.0)

    def prepare(self) -> None:
        self._jog = jog_of(self, self.robot)
        layers = [self._layer(name) for name in strings(self, "layers")]
        self._keys = Keys(
            Layers(layers or default_layers(self.robot), self.robot.action_names, self._jog.check),
            self.get_parameter("pulse_s").value,
            self.get_parameter("hold_s").value,
        )
        self._terminal = KeyReader(sys.stdin.fileno() if sys.stdin.isatty() else -1)
        self._terminal.__enter__()
        self._clean.append(self._terminal.restore)
        self._live = Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True)
        self._live.start()
        self._clean.append(self._live.stop)
        # On the steady clock: a paused simulation must not freeze the screen.
        timer = self.create_timer(
            _SCREEN_PERIOD_S, self._draw, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._clean.append(lambda: self.destroy_timer(timer))

    def _layer(self, name: str) -> Layer:
        keys, targets = strings(self, f"{name}.keys"), strings(self, f"{name}.targets")
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
        # The screen says what is going on; log lines would be drawn across it.
        self.get_logger().set_level(LoggingSeverity.ERROR)

    def held(self, now_ns: int) -> bool:
        for key in key_names(self._terminal.read()):
            self._keys.press(key, now_ns)
        return self._keys.held(now_ns)

    def engage(self, commanded: NDArray[np.float64], now_ns: int) -> None:
        self._jog.engage(commanded)

    def advance(self, now_ns: int, elapsed_s: float) -> Wanted:
        commanded = self.commanded
        assert commanded is not None  # problem() saw it
        shares = self._keys.shares(now_ns)
        position, velocity = self._jog.advance(shares, elapsed_s, commanded)
        return Wanted(self.robot.action_names, position, velocity)

    def _draw(self) -> None:
        moving = frozenset(self._keys.shares(self._now_ns()))
        problem = self.problem(self._now_ns())
        layers, commanded = self._keys.layers, self.commanded
        state = self.state if problem is None else problem
        self._live.update(screen(self.robot, layers, commanded, moving, state), refresh=True)


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(KeyboardTeleop))


if __name__ == "__main__":
    main()
