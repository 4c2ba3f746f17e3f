"""The simulation loop, tick by tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from pi0_bringup.simulation.loop import SimulationLoop, Timing
from pi0_bringup.simulation.render_thread import Frames, RenderThread
from pi0_bringup.simulation.transfer_cube import TransferCube
from pi0_ros.embodiment import load
from pi0_ros.state_sources import JointReading

TICK_NS = 10_000_000
CAMERAS = ("top", "left_wrist")


def timing(**changes: float) -> Timing:
    values = {
        "clock_hz": 100.0,
        "joint_state_hz": 50.0,
        "camera_rate_hz": 25.0,
        "real_time_factor": 0.0,
        "timestep_s": 0.002,
    }
    return Timing(**{**values, **changes})


class Notes:
    """Sinks that store what they receive."""

    def __init__(self, scene: TransferCube) -> None:
        self.action = scene.measured_action()
        self.clocks: list[int] = []
        self.joint_stamps: list[int] = []
        self.frame_sets: list[tuple[int, Frames]] = []
        self.cubes: list[NDArray[np.float64]] = []
        self.rewards: list[int] = []
        self.failures: list[Exception] = []

    def command(self, now_ns: int) -> NDArray[np.float64]:
        return self.action

    def clock(self, now_ns: int) -> None:
        self.clocks.append(now_ns)

    def joints(self, now_ns: int, readings: Mapping[str, JointReading]) -> None:
        self.joint_stamps.append(now_ns)

    def frames(self, stamp_ns: int, frames: Frames) -> None:
        self.frame_sets.append((stamp_ns, frames))

    def objects(self, now_ns: int, poses: Mapping[str, NDArray[np.float64]]) -> None:
        self.cubes.append(poses["cube"])

    def reward(self, now_ns: int, reward: int) -> None:
        self.rewards.append(reward)

    def failed(self, error: Exception) -> None:
        self.failures.append(error)


@pytest.fixture(scope="module")
def scene() -> TransferCube:
    return TransferCube(load("bimanual_trossen"))


@pytest.fixture(scope="module")
def renderer(scene: TransferCube) -> Iterator[RenderThread]:
    thread = RenderThread(scene.model, 24, 32, CAMERAS)
    yield thread
    thread.close()


def test_streams_keep_their_rates_in_simulated_time(
    scene: TransferCube, renderer: RenderThread
) -> None:
    notes = Notes(scene)
    loop = SimulationLoop(scene, renderer, timing(), notes)
    for _ in range(20):
        loop.tick()
    renderer.wait_idle()
    assert notes.clocks == [TICK_NS * k for k in range(1, 21)]
    assert notes.joint_stamps == [TICK_NS * k for k in range(2, 21, 2)]
    assert [stamp for stamp, _ in notes.frame_sets] == [TICK_NS * k for k in (4, 8, 12, 16, 20)]
    assert len(notes.rewards) == 10


def test_one_set_holds_every_camera_of_one_instant(
    scene: TransferCube, renderer: RenderThread
) -> None:
    notes = Notes(scene)
    loop = SimulationLoop(scene, renderer, timing(camera_rate_hz=100.0), notes)
    loop.tick()
    renderer.wait_idle()
    ((_, frames),) = notes.frame_sets
    assert tuple(frames) == CAMERAS
    assert all(frame.shape == (24, 32, 3) for frame in frames.values())


def test_slow_rendering_drops_no_set(scene: TransferCube, renderer: RenderThread) -> None:
    notes = Notes(scene)
    loop = SimulationLoop(scene, renderer, timing(camera_rate_hz=100.0), notes)
    for _ in range(30):
        loop.tick()
    renderer.wait_idle()
    assert [stamp for stamp, _ in notes.frame_sets] == notes.clocks


def test_reset_puts_the_cube_back_and_lets_time_go_on(
    scene: TransferCube, renderer: RenderThread
) -> None:
    notes = Notes(scene)
    loop = SimulationLoop(scene, renderer, timing(), notes, begin_ns=1_000_000_000)
    loop.reset(7, lambda: None)
    pose = scene.cube_pose
    loop.tick()
    loop.reset(7, lambda: None)
    loop.tick()
    assert notes.clocks == [1_010_000_000, 1_020_000_000]
    loop.reset(7, lambda: None)
    np.testing.assert_array_equal(scene.cube_pose, pose)


def test_thread_resets_between_two_ticks_and_stops(
    scene: TransferCube, renderer: RenderThread
) -> None:
    notes = Notes(scene)
    loop = SimulationLoop(scene, renderer, timing(), notes)
    loop.start()
    poses = []
    loop.reset(7, lambda: poses.append(scene.cube_pose))
    loop.stop()
    ticks = len(notes.clocks)
    assert len(poses) == 1
    assert notes.clocks == [TICK_NS * k for k in range(1, ticks + 1)]
    assert notes.failures == []


def test_a_refused_seed_leaves_the_time_line_running(
    scene: TransferCube, renderer: RenderThread
) -> None:
    notes = Notes(scene)
    loop = SimulationLoop(scene, renderer, timing(), notes)
    loop.start()
    with pytest.raises(ValueError, match="seed is -1"):
        loop.reset(-1, lambda: None)
    loop.reset(1, lambda: None)
    loop.stop()
    assert notes.failures == []


def test_an_error_ends_the_time_line_and_is_reported(
    scene: TransferCube, renderer: RenderThread
) -> None:
    notes = Notes(scene)
    notes.action = np.zeros(3)
    loop = SimulationLoop(scene, renderer, timing(), notes)
    loop.start()
    loop.stop()
    assert "give 14 finite numbers" in str(notes.failures[0])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"clock_hz": 300.0}, "clock_hz is 300.0; give a rate whose period"),
        ({"clock_hz": 0.0}, "clock_hz is 0.0"),
        ({"camera_rate_hz": -1.0}, "camera_rate_hz is -1.0"),
        ({"joint_state_hz": 1000.0}, "joint_state_hz is 1000.0"),
        ({"joint_state_hz": 200.0}, "joint_state_hz is 200.0"),
        ({"real_time_factor": -1.0}, "real_time_factor is -1.0"),
    ],
)
def test_refuses_rates_the_clock_cannot_keep(changes: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        timing(**changes)


def test_a_failed_drawing_is_raised_in_the_physics_thread(scene: TransferCube) -> None:
    def fail(stamp_ns: int, frames: Frames) -> None:
        raise OSError("no frame can be published")

    thread = RenderThread(scene.model, 24, 32, CAMERAS)
    thread.submit(0, scene.data, fail)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no frame can be published"):
            thread.submit(1, scene.data, fail)
    thread.close()
