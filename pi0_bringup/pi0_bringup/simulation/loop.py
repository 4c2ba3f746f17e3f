"""The simulation loop: physics, clock, joint states, cameras and reward, tick by tick."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pi0_bringup.simulation.lockstep import Lockstep
from pi0_bringup.simulation.pacing import Cadence, Pacer
from pi0_bringup.simulation.render_thread import Frames, RenderThread
from pi0_bringup.simulation.scene import Scene, check_seed
from pi0_ros.arrays import FloatArray
from pi0_ros.stamps import NS_PER_S, S_PER_NS
from pi0_ros.state_sources import JointReading

#: How often reward and object poses are published; gym-aloha computes its reward at this rate.
REWARD_HZ = 50.0
_RESET_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Rates in simulated time; ``real_time_factor`` 0 is as fast as possible.

    Raises ValueError if the period of the clock is not a whole number of physics steps.
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
    """Receives the outputs of the loop, in its threads; stamps are simulated time [ns]."""

    def command(self, now_ns: int) -> FloatArray:
        """The action to apply during the next tick, shape (A,)."""

    def clock(self, now_ns: int) -> None:
        """Time has advanced to this instant."""

    def joints(self, now_ns: int, readings: Mapping[str, JointReading]) -> None:
        """Joint states of this instant, by topic."""

    def frames(self, stamp_ns: int, frames: Frames) -> None:
        """All cameras of one instant, which may be up to a camera period ago."""

    def objects(self, now_ns: int, poses: Mapping[str, FloatArray]) -> None:
        """Position [m] and quaternion (w, x, y, z) of each object at this instant, shape (7,)."""

    def reward(self, now_ns: int, reward: int) -> None:
        """The scene's reward of this instant."""

    def failed(self, error: Exception) -> None:
        """The loop has ended with this error."""


class SimulationLoop:
    """Runs the scene tick by tick: in its own thread, or in the caller's by :meth:`tick`.

    Each control tick waits until all ``locksteps`` are acknowledged.

    Simulated time begins at ``begin_ns``, a multiple of the clock's period. It continues over
    resets and pauses and never runs backwards.
    """

    def __init__(
        self,
        scene: Scene,
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
        """Return after the thread has ended and every frame was delivered."""
        self._running = False
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def reset(self, seed: int, then: Callable[[], None]) -> None:
        """Reset the scene between two ticks, call ``then``, and return.

        Raises ValueError if the seed is out of range, and TimeoutError if the thread does not
        reset the scene in time.
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
        """Advance by one period of the clock and deliver the outputs that are due."""
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
        # This follows the joint states because the executor needs them for this tick.
        for lockstep in self._locksteps:
            lockstep.wait(self.now_ns)
        if self._rewards.due(self._ticks):
            self._sinks.objects(self.now_ns, self._scene.object_poses())
            self._sinks.reward(self.now_ns, self._scene.reward)

    def _run(self) -> None:
        try:
            while self._running:
                self.pacer.wait_for(self.now_ns + self._timing.tick_ns)
                self.tick()
            self._renderer.wait_idle()
        except Exception as error:  # otherwise the thread would end without a message
            self._sinks.failed(error)
