"""gym-aloha's cube-transfer scene behind the joints and cameras of an embodiment."""

from __future__ import annotations

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco
from gym_aloha.constants import ASSETS_DIR
from gym_aloha.tasks import sim
from gym_aloha.utils import sample_box_pose
from numpy.typing import NDArray

from pi0_bringup.simulation.viperx import (
    ARM_JOINTS,
    DRIVER_JOINTS,
    GRIPPER_RAD_PER_M,
    SIDES,
    command_wiring,
    gripper_angle,
    state_topics,
    to_gym,
)
from pi0_ros.embodiment import Embodiment
from pi0_ros.state_sources import JointReading

#: Seeds that numpy's RandomState, which places the cube, can take.
SEED_LIMIT = 2**32


def check_seed(seed: int) -> None:
    """Raise ValueError unless the seed is in 0 .. 2**32 - 1."""
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed is {seed}; give a whole number from 0 to {SEED_LIMIT - 1}")


class TransferCube:
    """Two ViperX arms, a table and a cube; physics and reward are gym-aloha's own.

    Commands go through gym-aloha's task to its position actuators, so force
    limits, friction and the gripper's mapping are those its policies were
    trained on. The right gripper has to lift the cube and the left one to take
    it: reward 1 touched, 2 lifted, 3 touched by the left, 4 taken by the left.

    Not thread-safe. Raises ValueError if the embodiment is not a ViperX pair.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        self._wires = command_wiring(embodiment)
        self._side_of_topic = state_topics(embodiment)
        scene = ASSETS_DIR / "bimanual_viperx_transfer_cube.xml"
        self._physics = dm_mujoco.Physics.from_xml_path(str(scene))
        self._task = sim.TransferCubeTask()
        arm = [*ARM_JOINTS, "left_finger", "right_finger"]
        joints = {s: [self.model.joint(f"vx300s_{s}/{j}") for j in arm] for s in SIDES}
        self._qpos = {s: [j.qposadr[0] for j in joints[s]] for s in SIDES}
        self._dof = {s: [j.dofadr[0] for j in joints[s]] for s in SIDES}
        self._box = self.model.joint("red_box_joint").qposadr[0]
        self.reset(0)

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled MuJoCo model."""
        return self._physics.model.ptr

    @property
    def data(self) -> mujoco.MjData:
        """The live MuJoCo state; copy it before handing it to another thread."""
        return self._physics.data.ptr

    @property
    def timestep_s(self) -> float:
        """Duration of one physics step."""
        return float(self.model.opt.timestep)

    def reset(self, seed: int) -> None:
        """Put arms and cube back; the same seed gives the same cube pose.

        Raises ValueError if the seed is not in 0 .. 2**32 - 1.
        """
        check_seed(seed)
        # The task takes the pose from this module variable when an episode begins.
        sim.BOX_POSE[0] = sample_box_pose(seed)
        self._task.initialize_episode(self._physics)
        self._physics.forward()

    def measured_action(self) -> NDArray[np.float64]:
        """The action, shape (A,), that commands the joints to where they are."""
        readings = {side: self._reading(side) for side in SIDES}
        raw = [
            readings[wire.side].position[DRIVER_JOINTS.index(wire.joint)] for wire in self._wires
        ]
        return np.array([w.scale * r + w.offset for w, r in zip(self._wires, raw, strict=True)])

    def set_command(self, action: NDArray[np.float64]) -> None:
        """Command the actuators: shape (A,), embodiment order and units."""
        if action.shape != (len(self._wires),) or not np.isfinite(action).all():
            raise ValueError(
                f"command {action!r}: give {len(self._wires)} finite numbers in embodiment order"
            )
        self._task.before_step(to_gym(self._wires, action), self._physics)

    def step(self, duration_s: float) -> None:
        """Advance by a whole number of physics steps.

        Raises ValueError if the duration is not one.
        """
        steps = round(duration_s / self.timestep_s)
        if steps < 1 or abs(steps * self.timestep_s - duration_s) > 1e-9:
            raise ValueError(
                f"step of {duration_s} s: give a multiple of the physics step, {self.timestep_s} s"
            )
        self._physics.step(steps)

    def joint_readings(self) -> dict[str, JointReading]:
        """What the drivers of both arms measure now, by joint-state topic."""
        return {topic: self._reading(side) for topic, side in self._side_of_topic.items()}

    def _reading(self, side: str) -> JointReading:
        position = self.data.qpos[self._qpos[side]]
        velocity = self.data.qvel[self._dof[side]]
        effort = self.data.qfrc_actuator[self._dof[side]]
        gripper = len(ARM_JOINTS)
        finger_m, finger_m_s = position[gripper], velocity[gripper]
        return JointReading(
            names=DRIVER_JOINTS,
            position=np.insert(position, gripper, gripper_angle(finger_m)),
            velocity=np.insert(velocity, gripper, GRIPPER_RAD_PER_M * finger_m_s),
            effort=np.insert(effort, gripper, effort[gripper] / GRIPPER_RAD_PER_M),
        )

    @property
    def cube_pose(self) -> NDArray[np.float64]:
        """Position [m] and quaternion (w, x, y, z) of the cube, shape (7,)."""
        return np.array(self.data.qpos[self._box : self._box + 7])

    @property
    def reward(self) -> int:
        """gym-aloha's reward of this instant, 0 to :attr:`max_reward`."""
        return int(self._task.get_reward(self._physics))

    @property
    def max_reward(self) -> int:
        """The reward that counts as success."""
        return int(self._task.max_reward)
