"""One demonstration through the executor's limits, in simulated time and one process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pi0_bringup.simulation.scene import Scene
from pi0_bringup.simulation.transfer_cube import TransferCube
from pi0_bringup.teleoperation.expert.motion import Motion, TransferExpert
from pi0_bringup.teleoperation.expert.waypoints import Variation
from pi0_ros.arrays import FloatArray
from pi0_ros.control import Executor, ExecutorState, TeleopCommand, Tuning
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import NS_PER_S, S_PER_NS

#: The cube comes to rest on the table in less [s].
SETTLE_S = 0.5
#: Simulated time after the last command in which the reward is still observed [s].
_TAIL_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The result of one demonstration; rewards are the scene's."""

    seed: int
    cube: tuple[float, float]
    best_reward: int
    last_reward: int
    succeeded: bool
    duration_s: float
    success_s: float | None
    following_error: float
    limit_hits: int


class TransferTrial:
    """Demonstrates in its own simulation, within the executor's limits."""

    def __init__(self, robot: Embodiment, variation: Variation | None = None) -> None:
        self._robot = robot
        self._variation = variation
        self._scene: Scene = TransferCube(robot)
        self._expert = TransferExpert(self._scene.model, robot)
        self._period_ns = round(NS_PER_S / robot.rates.control_hz)

    def run(self, seed: int) -> Trial:
        """Reset and demonstrate with the seed, and read the reward.

        Raises RuntimeError if the executor refuses a command.
        """
        self._scene.reset(seed)
        self._now_ns = 0
        self._executor = Executor(self._robot, Tuning())
        for _ in range(self._ticks(SETTLE_S)):
            self._tick()
        cube = self._scene.object_poses()["cube"][:3]
        motion = self._expert.plan(cube, self._scene.measured_action(), seed, self._variation)
        rewards, errors = self._demonstrate(motion)
        best, full = max(rewards), self._scene.task.max_reward
        reached = rewards.index(full) * self._period_ns * S_PER_NS if full in rewards else None
        commanded = self._executor.commanded
        return Trial(
            seed=seed,
            cube=(float(cube[0]), float(cube[1])),
            best_reward=best,
            last_reward=rewards[-1],
            succeeded=self._scene.task.is_solved(best),
            duration_s=motion.duration_s,
            success_s=reached,
            following_error=max(errors),
            limit_hits=0 if commanded is None else int(commanded.hits.sum()),
        )

    def _demonstrate(self, motion: Motion) -> tuple[list[int], list[float]]:
        """Reward and distance between command and plan, at every tick."""
        begin_ns = self._now_ns
        rewards, errors = [], []
        for _ in range(self._ticks(motion.duration_s)):
            position, rate = motion.at((self._now_ns - begin_ns) * S_PER_NS)
            refusal = self._executor.teleoperate(self._command(position, rate), self._now_ns)
            if refusal is not None:
                raise RuntimeError(f"the executor refused the expert: {refusal.reason}")
            command = self._tick()
            errors.append(float(np.abs(command - position).max()))
            rewards.append(self._scene.reward)
        released = TeleopCommand(
            stamp_ns=self._now_ns,
            source_id="expert",
            deadman=False,
            names=(),
            position=np.empty(0),
            velocity=np.empty(0),
        )
        self._executor.teleoperate(released, self._now_ns)
        for _ in range(self._ticks(_TAIL_S)):
            self._tick()
            rewards.append(self._scene.reward)
        return rewards, errors

    def _command(self, position: FloatArray, rate: FloatArray) -> TeleopCommand:
        return TeleopCommand(
            stamp_ns=self._now_ns,
            source_id="expert",
            deadman=True,
            names=self._robot.action_names,
            position=position,
            velocity=rate,
        )

    def _tick(self) -> FloatArray:
        """Advance executor and physics by one control period; returns the command (A,)."""
        self._now_ns += self._period_ns
        for topic, reading in self._scene.joint_readings().items():
            self._executor.joints.heard(topic, self._now_ns)
            numbers = (reading.position, reading.velocity, reading.effort)
            self._executor.joints.update(topic, reading.names, *(n.tolist() for n in numbers))
        tick = self._executor.tick(self._now_ns)
        if tick.state is not ExecutorState.WAITING:
            self._scene.set_command(tick.command)
        self._scene.step(self._period_ns * S_PER_NS)
        return tick.command

    def _ticks(self, duration_s: float) -> int:
        return round(duration_s / (self._period_ns * S_PER_NS))
