"""Forward and inverse kinematics of one arm of a MuJoCo model (MJCF or URDF)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from transforms3d.axangles import axangle2mat, mat2axangle

from pi0_ros.arrays import FloatArray

#: Damping of the least squares; it bounds the joint motion near a singularity.
_DAMPING = 0.02
#: Largest joint step of one iteration [rad]: the Jacobian holds near its pose only.
_STEP_RAD = 0.2
#: Errors below which a pose counts as reached.
POSITION_TOLERANCE_M = 5e-4
ROTATION_TOLERANCE_RAD = 5e-3


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of a frame in the world: position (3,) [m] and rotation matrix (3, 3)."""

    position: FloatArray
    rotation: FloatArray

    def moved(self, shift: FloatArray, turn: FloatArray) -> Pose:
        """This pose translated by (3,) [m] and rotated by a rotation vector (3,) [rad]."""
        return Pose(self.position + shift, rotation_of(turn) @ self.rotation)


@dataclass(frozen=True, slots=True)
class Solution:
    """Joint values (J,), and how far the frame then is from the target pose."""

    joints: FloatArray
    position_error_m: float
    rotation_error_rad: float

    @property
    def reached(self) -> bool:
        """Whether both errors are within tolerance."""
        return (
            self.position_error_m <= POSITION_TOLERANCE_M
            and self.rotation_error_rad <= ROTATION_TOLERANCE_RAD
        )


def rotation_of(vector: FloatArray) -> FloatArray:
    """Rotation matrix (3, 3) of a rotation vector (3,) [rad]."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    return np.asarray(axangle2mat(vector / angle, angle), dtype=np.float64)


def rotation_vector(matrix: FloatArray) -> FloatArray:
    """Rotation vector (3,) [rad] of a rotation matrix (3, 3)."""
    axis, angle = mat2axangle(matrix)
    return np.asarray(axis, dtype=np.float64) * float(angle)


def load_model(path: str | Path) -> mujoco.MjModel:
    """Compile an MJCF or URDF file.

    Raises ValueError with MuJoCo's reason if it cannot be read.
    """
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise ValueError(f"model {str(path)!r} cannot be loaded: {error}") from error


class ArmKinematics:
    """Kinematics of J joints of a model and of a point ``tool`` (3,) [m] of its body ``frame``.

    It has its own MjData and is not thread-safe. Raises ValueError that names the joint or body
    which the model does not have.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        joints: Sequence[str],
        frame: str,
        tool: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        ids = [_id(model, mujoco.mjtObj.mjOBJ_JOINT, name, "joint") for name in joints]
        self._qpos = model.jnt_qposadr[ids]
        self._dofs = model.jnt_dofadr[ids]
        limited = model.jnt_limited[ids].astype(bool)
        self._lower = np.where(limited, model.jnt_range[ids, 0], -np.inf)
        self._upper = np.where(limited, model.jnt_range[ids, 1], np.inf)
        self._body = _id(model, mujoco.mjtObj.mjOBJ_BODY, frame, "body")
        self._tool = np.asarray(tool, dtype=np.float64)
        self._jacobian = np.zeros((6, model.nv))

    def forward(self, joints: FloatArray) -> Pose:
        """Pose of the frame with these joint values (J,)."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        rotation = self._data.xmat[self._body].reshape(3, 3).copy()
        return Pose(self._data.xpos[self._body] + rotation @ self._tool, rotation)

    def solve(self, target: Pose, start: FloatArray, iterations: int = 50) -> Solution:
        """Joint values (J,) that bring the frame to a pose; the search begins at ``start`` (J,).

        Damped least squares (Wampler 1986) within the joints' ranges. For an unreachable pose
        the solution is a pose near it, with its errors.
        """
        joints = np.clip(start, self._lower, self._upper)
        for remaining in range(iterations, -1, -1):
            pose = self.forward(joints)
            error = np.concatenate(
                (
                    target.position - pose.position,
                    rotation_vector(target.rotation @ pose.rotation.T),
                )
            )
            solution = Solution(
                joints, float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
            )
            if remaining == 0 or solution.reached:
                return solution
            joints = np.clip(joints + self._step(error, pose), self._lower, self._upper)
        raise AssertionError("unreachable: the last iteration returns")

    def _step(self, error: FloatArray, pose: Pose) -> FloatArray:
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jac(
            self._model,
            self._data,
            self._jacobian[:3],
            self._jacobian[3:],
            pose.position,
            self._body,
        )
        jacobian = self._jacobian[:, self._dofs]
        # J^T (J J^T + d^2 I)^-1 e; the damping decreases with the error, so that it converges.
        damping = _DAMPING * min(1.0, float(np.linalg.norm(error)) * 10.0)
        square = jacobian @ jacobian.T + (damping**2 + 1e-10) * np.eye(6)
        step: FloatArray = jacobian.T @ np.linalg.solve(square, error)
        largest = float(np.abs(step).max())
        return step if largest <= _STEP_RAD else step * (_STEP_RAD / largest)


def _id(model: mujoco.MjModel, kind: int, name: str, what: str) -> int:
    found = mujoco.mj_name2id(model, kind, name)
    if found < 0:
        count = model.njnt if what == "joint" else model.nbody
        known = filter(None, (mujoco.mj_id2name(model, kind, k) for k in range(count)))
        raise ValueError(f"the model has no {what} {name!r}; it has {', '.join(known)}")
    return int(found)
