"""The executor's state machine: chunks, humans and clocks in, one limited command per tick out.

No ROS and no clock of its own: every method that depends on time takes ``now_ns``, on
the ROS clock. One invariant above all: what was dropped never resumes. A hold for
whatever reason drops the driver and the chunk that waits, and only what is accepted
afterwards ends it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.blend import Blender
from pi0_ros.control.chunk import ChunkGate, IncomingChunk, Refusal, Rule
from pi0_ros.control.drivers import ChunkDriver, Driver
from pi0_ros.control.latch import Latch
from pi0_ros.control.measured import JointWatch, ObservationWatch
from pi0_ros.control.mover import Mover
from pi0_ros.control.state import State, Tick
from pi0_ros.control.teleop import TeleopCommand, TeleopDoor
from pi0_ros.control.teleop_driver import TeleopDriver
from pi0_ros.control.timeline import Timeline
from pi0_ros.control.tuning import Tuning
from pi0_ros.control.veto import Veto
from pi0_ros.control.whereabouts import Whereabouts
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: Periods that may lie between two ticks, however short the tuning's gap: ticks are missed.
_LONGEST_GAP = 5.0

_FIRST_CHUNK = "waiting for the first chunk"


class Executor:
    """Lets one driver at a time move the robot, and makes the safe stop when none may.

    A new instance knows nothing: it waits for joint states, takes the measured pose and
    velocity as the commanded ones, brakes, and moves when the first chunk is accepted.
    Calls must not overlap; the owner locks where it has threads. ``latch`` is the operator's
    word and outlives the instance; so do the sources that ``must_let_go`` of their deadman.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        tuning: Tuning,
        latch: Latch | None = None,
        veto: Veto | None = None,
        must_let_go: set[str] | None = None,
    ) -> None:
        self.robot = embodiment
        self._tuning = tuning
        self._veto = veto
        self.latch = latch or Latch()
        self.joints = JointWatch(embodiment, tuning.joint_state_timeout_s)
        self._observations = ObservationWatch(embodiment.sync.observation_timeout_s)
        self.gate = ChunkGate(embodiment, tuning)
        self.door = TeleopDoor(embodiment, tuning, must_let_go)
        self.last_refusal = ""
        period_s = 1.0 / embodiment.rates.control_hz
        self._longest_gap_s = max(tuning.tick_gap_s, _LONGEST_GAP * period_s)
        self.blender = Blender(embodiment.limits, tuning.splice_s, period_s)
        #: The commanded motion; None until the measured pose is known.
        self.mover: Mover | None = None
        #: Who moves the robot; None while it holds.
        self.driver: Driver | None = None
        self._whereabouts = Whereabouts(embodiment, self.joints, tuning.resync_tolerance)
        self._pending: Timeline | None = None
        self._now_ns: int | None = None
        self._ending: str | None = None
        self._blocked: str | None = None
        self._reason = self.latch.reason or _FIRST_CHUNK
        self._silent = (False,) * len(embodiment.controllers)
        self._no_hits = np.zeros((4, len(embodiment.action)), dtype=np.uint64)
        self._unknown: NDArray[np.float64] = np.full(len(embodiment.action), np.nan)
        self.ticks = 0
        self.underruns = 0
        self.chunks_executed = 0

    @property
    def needs_joints(self) -> bool:
        """Whether the next tick needs the numbers of the joint states, not just their arrival."""
        return self.mover is None or self._whereabouts.are_lost

    @property
    def is_stopped(self) -> bool:
        """Whether a requested end has been reached."""
        return self.mover is None or (self._ending is not None and self.mover.is_stopped)

    @property
    def hits(self) -> NDArray[np.uint64]:
        """Limited ticks by position, velocity, acceleration and jerk, shape (4, A)."""
        return self._no_hits if self.mover is None else self.mover.hits

    def observe(self, stamp_ns: int, now_ns: int) -> None:
        """Note an observation."""
        self._observations.seen(stamp_ns, now_ns)

    def observation_age_s(self, now_ns: int) -> float | None:
        """Age of the newest observation, or None before the first."""
        return self._observations.age_s(now_ns)

    def offer(self, incoming: IncomingChunk, now_ns: int) -> Refusal | None:
        """Take a chunk, to be executed from its stamp on; or say why not.

        It replaces what is left of the chunk before it: chunks are never queued.
        """
        refusal = self._closed(f"chunk {incoming.sequence}")
        if refusal is None and self.door.holder is not None:
            reason = f"chunk {incoming.sequence} refused: {self.door.holder!r} teleoperates"
            refusal = Refusal(Rule.TELEOPERATED, reason)
        accepted = self.gate.refuse(refusal) if refusal else self.gate.accept(incoming, now_ns)
        if isinstance(accepted, Refusal):
            self.last_refusal = accepted.reason
            return accepted
        self._pending = Timeline(accepted)
        self.observe(accepted.observation_stamp_ns, now_ns)
        return None

    def teleoperate(self, command: TeleopCommand, now_ns: int) -> Refusal | None:
        """Take a human's command, which takes over from a chunk; or say why not."""
        if not command.deadman:
            if self.door.let_go(command.source_id):
                self.hand_over(f"{command.source_id!r} let go of the deadman", now_ns)
            return None
        refusal = self._closed(f"teleoperation by {command.source_id!r}")
        if refusal is not None:
            self.door.refuse(command, refusal)
        else:
            refusal = self.door.admit(command, now_ns)
        if refusal is not None:
            self.last_refusal = refusal.reason
            return refusal
        if isinstance(self.driver, TeleopDriver):
            self.driver.follow(command, now_ns)
        elif self.mover is not None:
            self.drive(
                TeleopDriver(command, now_ns, self.mover, self.robot, self.blender, self._tuning)
            )
        return None

    def _closed(self, what: str) -> Refusal | None:
        if self._ending is not None:
            return Refusal(Rule.STOPPING, f"{what} refused: {self._ending}")
        if self.latch.closed:
            return Refusal(Rule.STOPPED, f"{what} refused: {self.latch.reason}")
        if self.mover is None:
            return Refusal(Rule.WAITING, f"{what} refused: the robot's pose is not known yet")
        return None

    def drive(self, driver: Driver) -> None:
        """Hand the robot to a driver; what drove or waited before is gone."""
        self.driver, self._pending = driver, None

    def hold(self, reason: str) -> None:
        """Drop whatever drives and whatever waits; only what is accepted later moves again."""
        if self.door.holder is not None and self._now_ns is not None:
            self.gate.hand_over(self._now_ns, "the end of teleoperation")
        self.door.drop()
        self.driver = self._pending = None
        self._reason = reason

    def hand_over(self, event: str, now_ns: int) -> None:
        """Hold, and take no chunk that was computed from an observation before now."""
        self.hold(f"{event}; waiting for a newer chunk")
        self.gate.hand_over(now_ns, f"{event!r}")

    def end(self, reason: str) -> None:
        """Begin the controlled stop, from which this instance does not return."""
        self._ending = reason
        self.hold(reason)

    def block(self, reason: str | None) -> None:
        """Hold for a reason of the owner's own, until it is None again."""
        if reason is None and self._blocked is not None:
            self.hold("waiting for a newer chunk")
        self._blocked = reason

    def settle(self) -> None:
        """Before an operator moves an arm at rest: begin from where it is measured."""
        if self.mover is not None and self.mover.is_still:
            self._whereabouts.settle(self.mover)

    def tick(self, now_ns: int) -> Tick:
        """Advance by one period of the control rate. ``now_ns``: the tick's deadline."""
        self.ticks += 1
        self._check_clock(now_ns)
        if self.mover is None:
            waiting = self._unknown_pose(now_ns)
            if waiting is not None:
                return self._waiting(now_ns, waiting)
            position, rate = self.joints.action(), self.joints.rate()
            self.mover = Mover(self.robot, position, rate, self._veto)
        outage = self.joints.problem(now_ns)
        self._look_for_the_arm(now_ns, self.mover, outage)
        problem = self._problem(outage)
        if problem is not None:
            self.hold(problem)
        else:
            self._let_a_chunk_begin(now_ns, self.mover)
        self._advance(now_ns, self.mover)
        return self._result(now_ns, self.mover)

    def problem(self, now_ns: int) -> str | None:
        """Why nothing may drive the robot now, or None."""
        return self._problem(self.joints.problem(now_ns))

    def _problem(self, outage: str | None) -> str | None:
        return self._ending or outage or self._whereabouts.problem or self._blocked

    def _unknown_pose(self, now_ns: int) -> str | None:
        problem = self.joints.problem(now_ns)
        if problem is None and not self.joints.is_rate_known:
            return "joint states carry no velocity; waiting for the next ones to see what moves"
        return problem

    def _check_clock(self, now_ns: int) -> None:
        before_ns, self._now_ns = self._now_ns, now_ns
        if before_ns is None:
            return
        passed_s = (now_ns - before_ns) * S_PER_NS
        if passed_s < 0.0:
            self._lose_the_arm(f"the clock jumped back by {-passed_s:.3f} s", now_ns)
            self.gate.clock_went_back()
            self.joints.clock_jumped(now_ns)
            self._observations.forget()
        elif passed_s > self._longest_gap_s:
            self._lose_the_arm(f"no tick for {passed_s:.2f} s", now_ns, entirely=True)
            self.joints.clock_jumped(now_ns)
            if self.mover is not None:  # the robot came to rest long ago
                self.mover.settle(self.mover.at_rest()[0])

    def _lose_the_arm(self, reason: str, now_ns: int, *, entirely: bool = False) -> None:
        self.hold(reason)
        if self.mover is not None:
            self._whereabouts.lose(reason, now_ns, entirely=entirely)

    def _look_for_the_arm(self, now_ns: int, mover: Mover, outage: str | None) -> None:
        if outage is not None:
            self._whereabouts.lose(outage, now_ns)
            return
        found = self._whereabouts.find(now_ns, mover)
        if found is not None:
            self.hand_over(found, now_ns)

    def _let_a_chunk_begin(self, now_ns: int, mover: Mover) -> None:
        """Drop chunks that nothing fresh backs; start the pending one when it is due."""
        if self.latch.closed or self.door.holder is not None:
            return
        stale = self._observations.problem(now_ns)
        if stale is not None:
            self.hold(stale)
        elif self._pending is not None and self._pending.chunk.stamp_ns <= now_ns:
            self.chunks_executed += 1
            self.drive(self._spliced(self._pending, now_ns, mover.motion))

    def _spliced(self, chunk: Timeline, now_ns: int, commanded: NDArray[np.float64]) -> ChunkDriver:
        """Into a chunk from the path that is being followed, or from standstill."""
        driver = self.driver
        if isinstance(driver, ChunkDriver) and now_ns <= driver.path.end_ns:
            path = self.blender.splice(driver.path, chunk, now_ns, commanded)
        else:
            path = self.blender.begin(chunk, now_ns, commanded)
        return ChunkDriver(path)

    def _advance(self, now_ns: int, mover: Mover) -> None:
        """Move one tick: as the driver says, or to the stop where none may or can."""
        if self.driver is not None:
            setpoint = self.driver.setpoint(now_ns)
            if isinstance(setpoint, str):
                self.underruns += self.driver.state is State.EXECUTING
                self.hold(setpoint)
            else:
                refused = mover.follow(setpoint)
                if refused is None:
                    return
                self.hold(refused)
        mover.brake()

    def _result(self, now_ns: int, mover: Mover) -> Tick:
        driver, chunk, step, begun = self.driver, None, 0, 0
        if isinstance(driver, ChunkDriver):
            chunk, step = driver.path.chunk, driver.path.timeline.step_at(now_ns)
            begun = step + 1
        # Nobody knows where the arm is: repeating an old pose might make it jump.
        quiet = self._whereabouts.are_lost and mover.is_still
        return Tick(
            now_ns=now_ns,
            state=driver.state if driver else self.latch.state or State.HOLDING,
            reason="" if driver else _both(self.latch.reason, self._reason),
            command=mover.position,
            velocity=mover.velocity,
            tangent=mover.tangent,
            publish=mover.publish_quietly if quiet else mover.publish,
            source_id=driver.source_id if driver else "",
            chunk=chunk,
            step=step,
            steps_consumed=begun,
        )

    def _waiting(self, now_ns: int, reason: str) -> Tick:
        self.hold(self.latch.reason or _FIRST_CHUNK)
        return Tick(
            now_ns=now_ns,
            state=State.WAITING,
            reason=_both(self._ending or self.latch.reason, reason),
            command=self._unknown,
            velocity=self._unknown,
            tangent=self._unknown,
            publish=self._silent,
        )

    def final(self, tick: Tick) -> Tick:
        """The command to leave behind after ``tick``: its pose at rest, ramps at zero.

        It is the tick itself unless the stop was cut short.
        """
        if self.mover is None:
            return tick
        command, velocity = self.mover.at_rest()
        return replace(tick, command=command, velocity=velocity, tangent=velocity)


def _both(first: str, second: str) -> str:
    """One reason, or two that differ."""
    return f"{first}; {second}" if first and first != second else second
