"""The scene ``transfer_cube``: gym-aloha's cube transfer, for a pair of ViperX arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco
from gym_aloha.constants import ASSETS_DIR
from gym_aloha.tasks import sim
from gym_aloha.utils import sample_box_pose

from pi0_bringup.simulation.scene import Task, check_seed, physics_steps
from pi0_bringup.simulation.viperx import (
    ARM_JOINTS,
    CAMERA_OF_SLOT,
    DRIVER_JOINTS,
    GRIPPER_RAD_PER_M,
    SIDES,
    gripper_angle,
    joint_mappings,
    state_topics,
    to_gym,
)
from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment
from pi0_ros.state_sources import JointReading


class TransferCube:
    """Two ViperX arms, a table and a cube; physics and reward are gym-aloha's own.

    Commands go through gym-aloha's task to its position actuators. Force limits, friction and
    the gripper's mapping are therefore those that gym-aloha's policies were trained on.

    Not thread-safe. Raises ValueError if the embodiment is not a ViperX pair.
    """

    #: The stages are those of gym-aloha's reward.
    task: ClassVar[Task] = Task(
        instruction="transfer the cube to the other arm",
        stages=(
            "the right gripper touches the cube",
            "the right gripper has lifted the cube",
            "the left gripper touches the cube",
            "the left gripper holds the cube above the table",
        ),
    )
    camera_of_slot: ClassVar[Mapping[str, str]] = CAMERA_OF_SLOT

    def __init__(self, embodiment: Embodiment) -> None:
        self._mappings = joint_mappings(embodiment)
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

    def reset(self, seed: int) -> None:
        """Reset arms and cube; the same seed gives the same cube pose.

        Raises ValueError if the seed is not in 0 .. 2**32 - 1.
        """
        check_seed(seed)
        # At the beginning of an episode the task reads the pose from this module variable.
        sim.BOX_POSE[0] = sample_box_pose(seed)
        self._task.initialize_episode(self._physics)
        self._physics.forward()

    def measured_action(self) -> FloatArray:
        """The action, shape (A,), that commands the measured joint positions."""
        readings = {side: self._reading(side) for side in SIDES}
        raw = [
            readings[mapping.side].position[DRIVER_JOINTS.index(mapping.joint)]
            for mapping in self._mappings
        ]
        return np.array([w.scale * r + w.offset for w, r in zip(self._mappings, raw, strict=True)])

    def set_command(self, action: FloatArray) -> None:
        """Command the actuators: shape (A,), embodiment order and units."""
        if action.shape != (len(self._mappings),) or not np.isfinite(action).all():
            raise ValueError(
                f"command {action!r}: give {len(self._mappings)} finite numbers in embodiment order"
            )
        self._task.before_step(to_gym(self._mappings, action), self._physics)

    def step(self, duration_s: float) -> None:
        """Advance by a whole number of physics steps. Raises ValueError on a fraction of one."""
        self._physics.step(physics_steps(self.model, duration_s))

    def joint_readings(self) -> dict[str, JointReading]:
        """Measurements of the drivers of both arms, by joint-state topic."""
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

    def object_poses(self) -> dict[str, FloatArray]:
        """The pose of the cube, by its name."""
        return {"cube": self.cube_pose}

    @property
    def cube_pose(self) -> FloatArray:
        """Position [m] and quaternion (w, x, y, z) of the cube, shape (7,)."""
        return np.array(self.data.qpos[self._box : self._box + 7])

    @property
    def reward(self) -> int:
        """gym-aloha's reward of this instant."""
        return int(self._task.get_reward(self._physics))
