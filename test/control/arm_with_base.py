"""A robot small enough to check by eye: two joints, a gripper and a base with one velocity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pi0_ros.control import Executor, IncomingChunk, Operator, Tick, Tuning, Veto
from pi0_ros.embodiment import (
    ActionDimension,
    Controller,
    Embodiment,
    LimitArrays,
    Limits,
    Rates,
    Slots,
    StateDimension,
    StopBehaviour,
    SyncTolerances,
)

MS = 1_000_000
PERIOD_NS = 20 * MS
START = np.array([0.1, -0.2, 0.5, 0.0])  # measured; the base has no measured value


def embodiment(
    chunk_hz: float = 50.0,
    control_hz: float = 50.0,
    horizon: int = 10,
    jerk: float = math.inf,
) -> Embodiment:
    """``shoulder``, ``elbow`` [rad], ``gripper`` [0..1], ``base`` [m/s].

    ``jerk`` [rad/s^3] bounds the shoulder and, ten times lower, the base.
    """
    joint_names = ("shoulder", "elbow", "gripper")
    state = tuple(
        StateDimension(
            name=name,
            unit="rad",
            slots=Slots(paper=i, checkpoint=i),
            topic="joint_states",
            message_type="sensor_msgs/msg/JointState",
            joint=f"{name}_joint",
            field="position",
            scale=1.0,
            offset=0.0,
        )
        for i, name in enumerate(joint_names)
    )
    limits = {
        "shoulder": Limits(lower=-2.0, upper=2.0, velocity=2.0, acceleration=10.0, jerk=jerk),
        "elbow": Limits(lower=-1.0, upper=1.0, velocity=2.0, acceleration=10.0),
        "gripper": Limits(lower=0.0, upper=1.0, velocity=2.0, acceleration=20.0),
        "base": Limits(lower=-0.5, upper=0.5, velocity=1.0, acceleration=10.0, jerk=0.1 * jerk),
    }
    action = tuple(
        ActionDimension(
            name=name,
            unit="rad",
            slots=Slots(paper=i, checkpoint=i),
            limits=limits[name],
            joint=f"{name}_joint" if name != "base" else "linear.x",
            scale=1.0,
            offset=0.0,
            home=0.0,
            state=name if name != "base" else None,
        )
        for i, name in enumerate((*joint_names, "base"))
    )
    return Embodiment(
        name="arm_with_base",
        description="two joints, a gripper and a base",
        path=Path("arm_with_base.yaml"),
        state=state,
        action=action,
        cameras=(),
        absent_slots=(),
        controllers=(
            _controller("arm", "forward_position", StopBehaviour.HOLD, "shoulder", "elbow"),
            _controller("gripper", "gripper", StopBehaviour.KEEP_LAST, "gripper"),
            _controller("base", "twist", StopBehaviour.RAMP_TO_ZERO, "base"),
        ),
        rates=Rates(
            chunk_hz=chunk_hz,
            control_hz=control_hz,
            joint_state_hz=100.0,
            horizon=horizon,
            execution_steps=horizon // 2,
        ),
        sync=SyncTolerances(
            camera_skew_s=0.04, state_skew_s=0.02, max_age_s=0.25, observation_timeout_s=0.5
        ),
    )


def _controller(name: str, kind: str, stop: StopBehaviour, *dimensions: str) -> Controller:
    return Controller(
        name=name,
        kind=kind,
        topic=f"{name}/commands",
        message_type="",
        dimensions=dimensions,
        stop=stop,
        frame_id="base_link",
    )


def chunk(robot: Embodiment, actions: Any, **overrides: Any) -> IncomingChunk:
    """A chunk that fits ``robot``; ``actions`` (H, A), or (A,) for every step."""
    rows = np.broadcast_to(
        np.asarray(actions, dtype=np.float32), (robot.rates.horizon, len(robot.action))
    )
    values: dict[str, Any] = {
        "stamp_ns": 0,
        "step_ns": round(1e9 / robot.rates.chunk_hz),
        "names": robot.action_names,
        "horizon": robot.rates.horizon,
        "data": rows.reshape(-1).copy(),
        "sequence": 0,
        "source_id": "policy_a",
        "embodiment": robot.name,
        "checkpoint_id": "tiny",
        **overrides,
    }
    values.setdefault("observation_stamp_ns", values["stamp_ns"])
    return IncomingChunk(**values)


class Bench:
    """An executor with fresh sensors and a clock that moves one period per tick.

    The arm is where it was commanded, unless a test puts it ``elsewhere``.
    """

    def __init__(
        self,
        robot: Embodiment | None = None,
        veto: Veto | None = None,
        must_release: set[str] | None = None,
        **tuning: float,
    ) -> None:
        self.robot = robot or embodiment()
        tuned = Tuning(**tuning)
        self.executor = Executor(self.robot, tuned, veto=veto, must_release=must_release)
        self.operator = Operator(self.executor, tuned.homing_share)
        self.period_ns = round(1e9 / self.robot.rates.control_hz)
        self.now_ns = 1_000_000_000
        self.joints_alive = True
        self.elsewhere: Any = None
        self.cameras_alive = True
        self.sequence = 0
        self.ticks: list[Tick] = []

    def joints(self, names: tuple[str, ...] | None = None, position: Any = START[:3]) -> None:
        """Send one joint-state message now."""
        names = names or tuple(d.joint for d in self.robot.state)
        self.executor.joints.heard("joint_states", self.now_ns)
        self.executor.joints.update("joint_states", names, tuple(position), (0.0,) * len(names), ())

    @property
    def measured(self) -> Any:
        """The measured pose of the arm."""
        if self.elsewhere is not None:
            return self.elsewhere
        commanded = self.executor.commanded
        return START[:3] if commanded is None else commanded.position[:3]

    def tick(self, count: int = 1) -> Tick:
        """Advance the clock and the executor; returns the last tick."""
        for _ in range(count):
            self.now_ns += self.period_ns
            if self.joints_alive:
                self.joints(position=self.measured)
            if self.cameras_alive:
                self.executor.observe(self.now_ns, self.now_ns)
            self.ticks.append(self.executor.tick(self.now_ns))
        return self.ticks[-1]

    def offer(self, actions: Any, **overrides: Any) -> str | None:
        """Offer a chunk that begins at the next tick; returns the reason if it is refused."""
        overrides.setdefault("stamp_ns", self.now_ns + self.period_ns)
        overrides.setdefault("observation_stamp_ns", self.now_ns)
        overrides.setdefault("sequence", self.sequence)
        self.sequence += 1
        refusal = self.executor.offer(chunk(self.robot, actions, **overrides), self.now_ns)
        return None if refusal is None else refusal.reason

    def commands(self) -> np.ndarray:
        """Commands of all ticks that had one, (T, A)."""
        return np.array([t.command for t in self.ticks if not np.isnan(t.command[0])])


def assert_within_limits(commands: np.ndarray, robot: Embodiment) -> None:
    """Every limit holds over the whole stream (T, A), emitted once per control period."""
    assert_stream_within(commands, robot.limits, 1.0 / robot.rates.control_hz)


def assert_stream_within(commands: np.ndarray, limits: LimitArrays, period_s: float) -> None:
    """Every limit holds over a stream (T, A) that starts at rest, to one part in 10^9.

    To that comes the rounding of the numbers in the stream. A start outside the position
    bounds may come back in.
    """
    start = commands[0]
    rounding = 4.0 * np.finfo(float).eps * (1.0 + np.abs(commands).max())
    assert (commands <= np.maximum(limits.upper, start) + rounding).all()
    assert (commands >= np.minimum(limits.lower, start) - rounding).all()
    differences = np.concatenate((np.tile(start, (3, 1)), commands))
    for name in ("velocity", "acceleration", "jerk"):
        differences = np.diff(differences, axis=0) / period_s
        rounding *= 2.0 / period_s
        most = getattr(limits, name) * (1.0 + 1e-9) + rounding
        assert (np.abs(differences) <= most).all(), name
