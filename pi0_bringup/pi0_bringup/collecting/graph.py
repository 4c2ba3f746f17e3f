"""The options of a collection, and the processes that it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pi0_bringup.simulation.scene import SEED_LIMIT
from pi0_ros.graph.declaration import (
    Process,
    declare_executor,
    declare_hardware,
    declare_recorder,
)
from pi0_ros.graph.options import GraphError, GraphOptions

#: What the scripted expert demonstrates.
EMBODIMENT, SCENE = "bimanual_trossen", "transfer_cube"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """``episodes`` demonstrations, seeded ``first_seed``, ``first_seed`` + 1, ...

    ``instruction`` is recorded with each of them; "" takes the scene's. Frames are ``width``
    pixels wide. ``real_time_factor`` 0 is as fast as the machine can. An episode that cannot be
    recorded is attempted ``max_attempts`` times.

    Raises :class:`GraphError` where a number makes no sense.
    """

    episodes: int
    out: Path
    instruction: str = ""
    first_seed: int = 0
    width: int = 224
    real_time_factor: float = 1.0
    max_attempts: int = 3

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise GraphError(f"episodes is {self.episodes}; give at least 1")
        if not 0 <= self.first_seed <= SEED_LIMIT - self.episodes:
            raise GraphError(
                f"first-seed is {self.first_seed}; give 0 to {SEED_LIMIT - self.episodes} for "
                f"{self.episodes} episodes"
            )
        if self.width < 32 or self.width % 4:
            raise GraphError(f"width is {self.width}; give a multiple of 4 from 32 pixels on")
        if not 0.0 <= self.real_time_factor < float("inf"):
            raise GraphError(
                f"real-time-factor is {self.real_time_factor}; give 1 for real time, 0 for as "
                "fast as possible"
            )


def processes(options: CollectOptions) -> tuple[Process, ...]:
    """Simulation, executor, recorder and expert, in the order to start them."""
    graph = GraphOptions(
        embodiment=EMBODIMENT,
        hardware="mujoco",
        scene=SCENE,
        directory=str(options.out),
        # The grippers are not commanded before the first demonstrated motion.
        require_commands=False,
        extra_topics="simulation/reward std_msgs/msg/Int32, "
        "simulation/cube_pose geometry_msgs/msg/PoseStamped",
    )
    (simulation,) = declare_hardware(graph)
    size = {"render_width": options.width, "render_height": options.width * 3 // 4}
    # In lockstep no tick is missed on a busy machine, at any real-time factor.
    pace = {"real_time_factor": options.real_time_factor, "lockstep": True}
    simulation = replace(simulation, parameters={**simulation.parameters, **size, **pace})
    (executor,) = declare_executor(graph)
    (recorder,) = declare_recorder(graph)
    expert = replace(
        executor, name="scripted_expert", package="pi0_bringup", executable="scripted_expert"
    )
    return simulation, executor, replace(recorder, stop_order=1), replace(expert, stop_order=0)
