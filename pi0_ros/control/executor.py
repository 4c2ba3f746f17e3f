"""The state machine of the executor: from chunks and teleoperation to one command per tick.

It uses no ROS and reads no clock: every method that depends on time takes ``now_ns``, on the ROS
clock. The most important invariant: a driver that was dropped never resumes. A hold, for
any reason, drops the driver and the pending chunk, and only what is accepted afterwards ends it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.admission import ChunkAdmission, Refusal, RefusalRule, TeleopAdmission
from pi0_ros.control.blend import Blender
from pi0_ros.control.chunk import IncomingChunk
from pi0_ros.control.commanded_motion import CommandedMotion
from pi0_ros.control.drivers import ChunkDriver, Driver
from pi0_ros.control.measured import JointWatch, ObservationWatch
from pi0_ros.control.operator_interlock import OperatorInterlock
from pi0_ros.control.pose_resync import PoseResync
from pi0_ros.control.state import ExecutorState, Tick
from pi0_ros.control.teleop_command import TeleopCommand
from pi0_ros.control.teleop_driver import TeleopDriver
from pi0_ros.control.tick_clock import TickClock
from pi0_ros.control.timeline import Timeline
from pi0_ros.control.tuning import Tuning
from pi0_ros.control.veto import Veto
from pi0_ros.embodiment import Embodiment

_FIRST_CHUNK = "waiting for the first chunk"


class Executor:
    """Lets one driver at a time move the robot, and makes the safe stop when none may.

    A new instance waits for joint states, takes the measured pose and velocity as the commanded
    ones, brakes, and moves when the first chunk is accepted. Calls must not overlap; the owner
    locks where it has threads. Two things outlive the instance: the operator's ``interlock``, and
    ``must_release``, the sources that must release their deadman before they may drive.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        tuning: Tuning,
        interlock: OperatorInterlock | None = None,
        veto: Veto | None = None,
        must_release: set[str] | None = None,
    ) -> None:
        self.robot = embodiment
        self._tuning = tuning
        self._veto = veto
        self.interlock = interlock or OperatorInterlock()
        self.joints = JointWatch(embodiment, tuning.joint_state_timeout_s)
        self._observations = ObservationWatch(embodiment.sync.observation_timeout_s)
        self.chunk_admission = ChunkAdmission(embodiment, tuning)
        self.teleop_admission = TeleopAdmission(embodiment, tuning, must_release)
        self.last_refusal = ""
        period_s = 1.0 / embodiment.rates.control_hz
        self._clock = TickClock(tuning.tick_gap_s, period_s)
        self.blender = Blender(embodiment.limits, tuning.splice_s, period_s)
        #: The commanded motion; None until the measured pose is known.
        self.commanded: CommandedMotion | None = None
        #: What moves the robot; None while it holds.
        self.driver: Driver | None = None
        self._resync = PoseResync(embodiment, self.joints, tuning.resync_tolerance)
        self._pending: Timeline | None = None
        self._ending: str | None = None
        self._blocked: str | None = None
        self._reason = self.interlock.reason or _FIRST_CHUNK
        self._no_hits = np.zeros((4, len(embodiment.action)), dtype=np.uint64)
        self.ticks = 0
        self.underruns = 0
        self.chunks_executed = 0

    @property
    def needs_joints(self) -> bool:
        """Whether the next tick needs the numbers of the joint states, not just their arrival."""
        return self.commanded is None or self._resync.is_pending

    @property
    def is_stopped(self) -> bool:
        """Whether a requested end has been reached."""
        return self.commanded is None or (self._ending is not None and self.commanded.is_stopped)

    @property
    def hits(self) -> NDArray[np.uint64]:
        """Limited ticks by position, velocity, acceleration and jerk, shape (4, A)."""
        return self._no_hits if self.commanded is None else self.commanded.hits

    def observe(self, stamp_ns: int, now_ns: int) -> None:
        """Note an observation."""
        self._observations.seen(stamp_ns, now_ns)

    def observation_age_s(self, now_ns: int) -> float | None:
        """Age of the newest observation, or None before the first."""
        return self._observations.age_s(now_ns)

    def offer(self, incoming: IncomingChunk, now_ns: int) -> Refusal | None:
        """Accept a chunk, to be executed from its stamp on, or return why it is refused.

        It replaces the rest of the chunk before it: chunks are never queued.
        """
        chunk, holder = f"chunk {incoming.sequence}", self.teleop_admission.holder
        refusal = self._not_driveable(chunk)
        if refusal is None and holder is not None:
            reason = f"{chunk} refused: {holder!r} teleoperates"
            refusal = Refusal(RefusalRule.TELEOPERATED, reason)
        admission = self.chunk_admission
        accepted = admission.refuse(refusal) if refusal else admission.accept(incoming, now_ns)
        if isinstance(accepted, Refusal):
            self.last_refusal = accepted.reason
            return accepted
        self._pending = Timeline(accepted)
        self.observe(accepted.observation_stamp_ns, now_ns)
        return None

    def teleoperate(self, command: TeleopCommand, now_ns: int) -> Refusal | None:
        """Accept a teleoperation command, which takes over from a chunk, or return its refusal."""
        if not command.deadman:
            if self.teleop_admission.release(command.source_id):
                self.hand_over(f"{command.source_id!r} let go of the deadman", now_ns)
            return None
        refusal = self._not_driveable(f"teleoperation by {command.source_id!r}")
        if refusal is not None:
            self.teleop_admission.refuse(command, refusal)
        else:
            refusal = self.teleop_admission.admit(command, now_ns)
        if refusal is not None:
            self.last_refusal = refusal.reason
            return refusal
        if isinstance(self.driver, TeleopDriver):
            self.driver.follow(command, now_ns)
        elif self.commanded is not None:
            start, tuning = self.commanded, self._tuning
            self.drive(TeleopDriver(command, now_ns, start, self.robot, self.blender, tuning))
        return None

    def _not_driveable(self, what: str) -> Refusal | None:
        if self._ending is not None:
            return Refusal(RefusalRule.STOPPING, f"{what} refused: {self._ending}")
        if self.interlock.locked:
            return Refusal(RefusalRule.STOPPED, f"{what} refused: {self.interlock.reason}")
        if self.commanded is None:
            reason = f"{what} refused: the robot's pose is not known yet"
            return Refusal(RefusalRule.WAITING, reason)
        return None

    def drive(self, driver: Driver) -> None:
        """Give the robot to a driver; the driver and the pending chunk before it are dropped."""
        self.driver, self._pending = driver, None

    def hold(self, reason: str) -> None:
        """Drop the driver and the pending chunk; only what is accepted later moves the robot."""
        if self.teleop_admission.holder is not None and self._clock.now_ns is not None:
            self.chunk_admission.hand_over(self._clock.now_ns, "the end of teleoperation")
        self.teleop_admission.drop()
        self.driver = self._pending = None
        self._reason = reason

    def hand_over(self, event: str, now_ns: int) -> None:
        """Hold, and refuse every chunk that was computed from an observation before now."""
        self.hold(f"{event}; waiting for a newer chunk")
        self.chunk_admission.hand_over(now_ns, f"{event!r}")

    def end(self, reason: str) -> None:
        """Begin the controlled stop; this instance never moves the robot again."""
        self._ending = reason
        self.hold(reason)

    def block(self, reason: str | None) -> None:
        """Hold for a reason that the owner gives, until it gives None."""
        if reason is None and self._blocked is not None:
            self.hold("waiting for a newer chunk")
        self._blocked = reason

    def take_measured_pose(self) -> None:
        """Command an arm at rest from where it is measured, before an operator moves it."""
        if self.commanded is not None and self.commanded.is_still:
            self._resync.take_measured(self.commanded)

    def tick(self, now_ns: int) -> Tick:
        """Advance by one period of the control rate. ``now_ns``: the tick's deadline."""
        self.ticks += 1
        self._check_clock(now_ns)
        if self.commanded is None:
            waiting = self.joints.pose_problem(now_ns)
            if waiting is not None:
                return self._waiting(now_ns, waiting)
            position, rate = self.joints.action(), self.joints.rate()
            self.commanded = CommandedMotion(self.robot, position, rate, self._veto)
        outage = self.joints.problem(now_ns)
        self._resynchronise(now_ns, self.commanded, outage)
        problem = self._problem(outage)
        if problem is not None:
            self.hold(problem)
        else:
            self._start_pending_chunk(now_ns, self.commanded)
        self._advance(now_ns, self.commanded)
        return self._result(now_ns, self.commanded)

    def problem(self, now_ns: int) -> str | None:
        """Why nothing may drive the robot now, or None."""
        return self._problem(self.joints.problem(now_ns))

    def _problem(self, outage: str | None) -> str | None:
        return self._ending or outage or self._resync.problem or self._blocked

    def _check_clock(self, now_ns: int) -> None:
        jump = self._clock.advance(now_ns)
        if jump is None:
            return
        self.hold(jump.reason)
        if self.commanded is not None:
            self._resync.mark_unknown(jump.reason, now_ns, entirely=not jump.is_back)
        self.joints.clock_jumped(now_ns)
        if jump.is_back:
            self.chunk_admission.clock_went_back()
            self._observations.forget()
        elif self.commanded is not None:  # the robot has come to rest meanwhile
            self.commanded.reset_to(self.commanded.at_rest()[0])

    def _resynchronise(self, now_ns: int, commanded: CommandedMotion, outage: str | None) -> None:
        if outage is not None:
            self._resync.mark_unknown(outage, now_ns)
            return
        found = self._resync.resynchronise(now_ns, commanded)
        if found is not None:
            self.hand_over(found, now_ns)

    def _start_pending_chunk(self, now_ns: int, commanded: CommandedMotion) -> None:
        """Start the pending chunk when it is due; hold if the observations are stale."""
        if self.interlock.locked or self.teleop_admission.holder is not None:
            return
        stale = self._observations.problem(now_ns)
        if stale is not None:
            self.hold(stale)
        elif self._pending is not None and self._pending.chunk.stamp_ns <= now_ns:
            self.chunks_executed += 1
            start = commanded.motion
            self.drive(ChunkDriver.into(self._pending, now_ns, start, self.driver, self.blender))

    def _advance(self, now_ns: int, commanded: CommandedMotion) -> None:
        """Advance one tick: along the driver's setpoint, or towards the stop without one."""
        if self.driver is not None:
            setpoint = self.driver.setpoint(now_ns)
            if isinstance(setpoint, str):
                self.underruns += self.driver.state is ExecutorState.EXECUTING
                self.hold(setpoint)
            else:
                refused = commanded.follow(setpoint)
                if refused is None:
                    return
                self.hold(refused)
        commanded.brake()

    def _result(self, now_ns: int, commanded: CommandedMotion) -> Tick:
        driver, chunk, step, begun = self.driver, None, 0, 0
        if isinstance(driver, ChunkDriver):
            chunk, step = driver.path.chunk, driver.path.timeline.step_at(now_ns)
            begun = step + 1
        # The pose of the arm is unknown: repeating an old command might make it jump.
        quiet = self._resync.is_pending and commanded.is_still
        return Tick(
            now_ns=now_ns,
            state=driver.state if driver else self.interlock.state or ExecutorState.HOLDING,
            reason="" if driver else _both(self.interlock.reason, self._reason),
            command=commanded.position,
            velocity=commanded.velocity,
            tangent=commanded.tangent,
            publish=commanded.publish_quietly if quiet else commanded.publish,
            source_id=driver.source_id if driver else "",
            chunk=chunk,
            step=step,
            steps_consumed=begun,
        )

    def _waiting(self, now_ns: int, reason: str) -> Tick:
        self.hold(self.interlock.reason or _FIRST_CHUNK)
        both = _both(self._ending or self.interlock.reason, reason)
        return Tick.waiting(now_ns, both, len(self.robot.action), len(self.robot.controllers))

    def final(self, tick: Tick) -> Tick:
        """The last command to send after ``tick``: its pose at rest, velocities at zero.

        This is the tick itself unless the stop was cut short.
        """
        if self.commanded is None:
            return tick
        command, velocity = self.commanded.at_rest()
        return replace(tick, command=command, velocity=velocity, tangent=velocity)


def _both(first: str, second: str) -> str:
    """One reason, or two that differ."""
    return f"{first}; {second}" if first and first != second else second
