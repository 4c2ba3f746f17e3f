"""The interface between ``mujoco_robot`` and a scene, and how a scene is found by its name.

A scene is a class in a file of its own and an entry point in the group ``pi0_bringup.scenes``
(see :mod:`pi0_ros.graph.scenes`), in this package or in any other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment
from pi0_ros.graph.scenes import find_scene
from pi0_ros.state_sources import JointReading

if TYPE_CHECKING:
    import mujoco

#: Seeds that the random generators of NumPy take.
SEED_LIMIT = 2**32


@dataclass(frozen=True, slots=True)
class Task:
    """What a robot is asked to do in a scene.

    ``stages`` describes what each reward from 1 on stands for; the last one is the success.
    """

    instruction: str
    stages: tuple[str, ...]

    @property
    def max_reward(self) -> int:
        """The reward of the last stage."""
        return len(self.stages)

    def is_solved(self, reward: int) -> bool:
        """Whether this reward is a success."""
        return reward >= self.max_reward


class Scene(Protocol):
    """A MuJoCo model behind the joints and cameras of an embodiment, with a task and its reward.

    The factory takes the embodiment and raises ValueError if it cannot serve it. Physics and
    reward are called in one thread.
    """

    @property
    def task(self) -> Task:
        """The task that the reward belongs to."""

    @property
    def camera_of_slot(self) -> Mapping[str, str]:
        """The MuJoCo camera that fills each image slot of the policy's model."""

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled MuJoCo model."""

    @property
    def data(self) -> mujoco.MjData:
        """The live MuJoCo state; copy it before another thread reads it."""

    def reset(self, seed: int) -> None:
        """Reset robot and objects; the same seed gives the same poses.

        Raises ValueError if the seed is not in 0 .. 2**32 - 1.
        """

    def measured_action(self) -> FloatArray:
        """The action, shape (A,), that commands the measured joint positions."""

    def set_command(self, action: FloatArray) -> None:
        """Command the actuators: shape (A,), embodiment order and units. Raises ValueError."""

    def step(self, duration_s: float) -> None:
        """Advance by a whole number of physics steps, see :func:`physics_steps`."""

    def joint_readings(self) -> Mapping[str, JointReading]:
        """Measurements of the drivers, by joint-state topic."""

    def object_poses(self) -> Mapping[str, FloatArray]:
        """Position [m] and quaternion (w, x, y, z) of each object, shape (7,), by its name."""

    @property
    def reward(self) -> int:
        """The highest stage of the task that holds at this instant; 0 for none."""


def open_scene(embodiment: Embodiment, name: str = "") -> Scene:
    """The scene of this name; "" for the only one of the embodiment.

    Raises ValueError if it is not installed or does not serve the embodiment.
    """
    _, entry_point = find_scene(embodiment.name, name)
    return cast(Scene, entry_point.load()(embodiment))


def check_seed(seed: int) -> None:
    """Raise ValueError unless the seed is in 0 .. 2**32 - 1."""
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed is {seed}; give a whole number from 0 to {SEED_LIMIT - 1}")


def physics_steps(model: mujoco.MjModel, duration_s: float) -> int:
    """How many physics steps the duration has. Raises ValueError if that is no whole number."""
    timestep_s = float(model.opt.timestep)
    steps = round(duration_s / timestep_s)
    if steps < 1 or abs(steps * timestep_s - duration_s) > 1e-9:
        raise ValueError(
            f"step of {duration_s} s: give a multiple of the physics step, {timestep_s} s"
        )
    return steps


def scene_cameras(scene: Scene, embodiment: Embodiment) -> dict[str, str]:
    """The MuJoCo camera behind each camera of the embodiment, by the latter's name.

    Raises ValueError that names the camera whose slot the scene does not fill.
    """
    for camera in embodiment.cameras:
        if camera.slot not in scene.camera_of_slot:
            raise ValueError(
                f"{embodiment.path}: camera {camera.name!r} fills slot {camera.slot!r}; the scene "
                f"has cameras for {', '.join(scene.camera_of_slot)}"
            )
    return {camera.name: scene.camera_of_slot[camera.slot] for camera in embodiment.cameras}
