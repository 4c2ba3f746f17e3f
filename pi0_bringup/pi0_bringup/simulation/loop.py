"""The simulated time line: physics, clock, joint states, cameras and reward in step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pi0_bringup.simulation.lockstep import Lockstep
from pi0_bringup.simulation.pacing import Cadence, Pacer
from pi0_bringup.simulation.render_thread import Frames, RenderThread
from pi0_bringup.simulation.transfer_cube import TransferCube, check_seed
from pi0_ros.stamps import NS_PER_S, S_PER_NS
from pi0_ros.state_sources import JointReading

#: gym-aloha judges its episodes at 50 Hz.
REWARD_HZ = 50.0
_RESET_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Rates in simulated time; ``real_time_factor`` 0 is as fast as possible.

    Raises ValueError if the clock is not made of whole physics steps.
    """

    clock_hz: float
    joint_state_hz: float
    camera_rate_hz: float
    real_time_factor: float
    timestep_s: float

    def __post_init__(self) -> None:
        if not 0.0 < self.clock_hz <= 1.0 / self.timestep_s:
            raise ValueError(
                f"clock_hz is {self.clock_hz}; give a rate above 0 and at most "
                f"{1.0 / self.timestep_s:g}, one physics step"
            )
        for name in ("joint_state_hz", "camera_rate_hz"):
            if not 0.0 < getattr(self, name) <= self.clock_hz:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; give a rate above 0 and at most "
                    f"that of the clock, {self.clock_hz:g} Hz"
                )
        steps = 1.0 / (self.clock_hz * self.timestep_s)
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"clock_hz is {self.clock_hz}; give a rate whose period is a whole number of "
                f"physics steps of {self.timestep_s * 1e3:g} ms, for example 100 or 50"
            )
        if not self.real_time_factor >= 0.0:
            raise ValueError(
                f"real_time_factor is {self.real_time_factor}; give 1 for real time, "
                "or 0 for as fast as possible"
            )

    @property
    def tick_ns(self) -> int:
        """Period of the clock."""
        return round(NS_PER_S / self.clock_hz)


class Sinks(Protocol):
    """Where the time line delivers; called in its threads, stamps in simulated ns."""

    def command(self, now_ns: int) -> NDArray[np.float64]:
        """The action to hold during the next tick, shape (A,)."""

    def clock(self, now_ns: int) -> None:
        """Time has advanced to this instant."""

    def joints(self, now_ns: int, readings: Mapping[str, JointReading]) -> None:
        """Joint states of this instant, by topic."""

    def frames(self, stamp_ns: int, frames: Frames) -> None:
        """All cameras of one instant, which may lie up to a camera period back."""

    def cube(self, now_ns: int, pose: NDArray[np.float64]) -> None:
        """Position [m] and quaternion (w, x, y, z) of the cube at this instant, shape (7,)."""

    def reward(self, now_ns: int, reward: int) -> None:
        """gym-aloha's reward of this instant."""

    def failed(self, error: Exception) -> None:
        """The time line has ended because of this error."""


class SimulationLoop:
    """Runs the scene tick by tick in its own thread, or in the caller's by :meth:`tick`.

    Each control tick waits for the answer of all ``locksteps``.

    Simulated time counts ticks from ``begin_ns``, which must lie on the clock's
    grid, and goes on over resets and pauses, so that it never runs backwards.
    """

    def __init__(
        self,
        scene: TransferCube,
        renderer: RenderThread,
        timing: Timing,
        sinks: Sinks,
        begin_ns: int = 0,
        locksteps: Sequence[Lockstep] = (),
    ) -> None:
        self._scene = scene
        self._renderer = renderer
        self._timing = timing
        self._sinks = sinks
        self._locksteps = tuple(locksteps)
        self._joints = Cadence(timing.joint_state_hz, timing.clock_hz)
        self._cameras = Cadence(timing.camera_rate_hz, timing.clock_hz)
        self._rewards = Cadence(min(REWARD_HZ, timing.clock_hz), timing.clock_hz)
        self._ticks = begin_ns // timing.tick_ns
        self._running = False
        self._thread: threading.Thread | None = None
        self._resets: list[tuple[int, Callable[[], None], threading.Event]] = []
        self.pacer = Pacer(timing.real_time_factor)

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self._ticks * self._timing.tick_ns

    def start(self) -> None:
        """Run in a thread until :meth:`stop`."""
        self.pacer.restart()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when the thread has ended and every frame is delivered."""
        self._running = False
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def reset(self, seed: int, then: Callable[[], None]) -> None:
        """Reset the scene between two ticks, call ``then``, and return.

        Raises ValueError on a seed that the scene does not take, and TimeoutError
        if the thread does not come to it.
        """
        check_seed(seed)
        if self._thread is None or not self._thread.is_alive():
            self._scene.reset(seed)
            then()
            return
        done = threading.Event()
        self._resets.append((seed, then, done))
        if not done.wait(_RESET_TIMEOUT_S):
            raise TimeoutError(f"the simulation did not reset within {_RESET_TIMEOUT_S:g} s")

    def tick(self) -> None:
        """Advance by one period of the clock and deliver what is due."""
        while self._resets:
            seed, then, done = self._resets.pop(0)
            self._scene.reset(seed)
            then()
            done.set()
        self._scene.set_command(self._sinks.command(self.now_ns))
        self._scene.step(self._timing.tick_ns * S_PER_NS)
        self._ticks += 1
        self._sinks.clock(self.now_ns)
        if self._joints.due(self._ticks):
            self._sinks.joints(self.now_ns, self._scene.joint_readings())
        if self._cameras.due(self._ticks):
            self._renderer.submit(self.now_ns, self._scene.data, self._sinks.frames)
        # After the joint states: the controller needs them for this tick.
        for lockstep in self._locksteps:
            lockstep.wait(self.now_ns)
        if self._rewards.due(self._ticks):
            self._sinks.cube(self.now_ns, self._scene.cube_pose)
            self._sinks.reward(self.now_ns, self._scene.reward)

    def _run(self) -> None:
        try:
            while self._running:
                self.pacer.wait_for(self.now_ns + self._timing.tick_ns)
                self.tick()
            self._renderer.wait_idle()
        except Exception as error:  # a thread's exception would go unseen
            self._sinks.failed(error)
