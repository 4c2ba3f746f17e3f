"""The shipped files, against the paper and against the robots they describe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pi0_ros.embodiment import (
    CAMERA_SLOTS,
    Embodiment,
    StopBehaviour,
    available,
    load,
)

ROOT = Path(__file__).resolve().parents[2]

# State and action dimensions, cameras, chunk rate and steps executed: the paper's appendix.
PAPER = {
    "ur5e": (7, 7, 2, 20, 16),
    "bimanual_ur5e": (14, 14, 3, 20, 16),
    "franka": (8, 8, 2, 20, 16),
    "bimanual_trossen": (14, 14, 3, 50, 25),
    "bimanual_arx": (14, 14, 3, 50, 25),
    "bimanual_agilex": (14, 14, 3, 50, 25),
    "mobile_trossen": (14, 16, 3, 50, 25),
    "mobile_arx": (14, 16, 3, 50, 25),
    "mobile_fibocom": (14, 17, 3, 50, 25),
}


@pytest.fixture(params=sorted(PAPER))
def robot(request: pytest.FixtureRequest) -> Embodiment:
    return load(request.param)


def test_ships_the_robots_of_the_paper() -> None:
    assert available() == tuple(sorted(PAPER))


def test_has_the_dimensions_of_the_paper(robot: Embodiment) -> None:
    rates = robot.rates
    assert (
        len(robot.state),
        len(robot.action),
        len(robot.cameras),
        rates.chunk_hz,
        rates.execution_steps,
    ) == PAPER[robot.name]
    assert (rates.horizon, rates.control_hz) == (50, 50)


def test_is_named_as_its_file(robot: Embodiment) -> None:
    assert robot.path.stem == robot.name
    assert robot.description


def test_slots_are_the_published_order(robot: Embodiment) -> None:
    for dimensions in (robot.state, robot.action):
        expected = list(range(len(dimensions)))
        assert [d.slots.checkpoint for d in dimensions] == expected
        assert [d.slots.paper for d in dimensions] == expected


def test_cameras_come_in_slot_order(robot: Embodiment) -> None:
    present = [slot for slot, has in zip(CAMERA_SLOTS, robot.slot_mask, strict=True) if has]
    assert [camera.slot for camera in robot.cameras] == present
    if len(robot.cameras) == 2:
        assert robot.absent_slots == ("right_wrist_0_rgb",)


def test_positions_are_measured_by_the_same_joint(robot: Embodiment) -> None:
    states = {d.name: d for d in robot.state}
    for action in robot.action:
        if action.state is not None:
            state = states[action.state]
            assert (state.unit, state.scale, state.offset) == (
                action.unit,
                action.scale,
                action.offset,
            )
            assert state.slots == action.slots


def test_only_a_base_ramps_to_zero(robot: Embodiment) -> None:
    for controller in robot.controllers:
        is_base = controller.kind == "twist"
        assert (controller.stop is StopBehaviour.RAMP_TO_ZERO) == is_base
        assert bool(controller.frame_id) == is_base


def test_base_velocities_follow_the_kinematics_of_the_base() -> None:
    axes = {
        name: [d.joint for d in load(name).action if d.state is None]
        for name in ("mobile_trossen", "mobile_arx", "mobile_fibocom")
    }
    assert axes == {
        "mobile_trossen": ["linear.x", "angular.z"],
        "mobile_arx": ["linear.x", "angular.z"],
        "mobile_fibocom": ["linear.x", "linear.y", "angular.z"],
    }


def test_file_says_where_its_limits_come_from(robot: Embodiment) -> None:
    lines = robot.path.read_text(encoding="utf-8").splitlines()
    comments = " ".join(line for line in lines if line.lstrip().startswith("#"))
    assert "acceleration" in comments
    assert "Gripper" in comments


def test_tolerances_admit_the_robots_own_rates(robot: Embodiment) -> None:
    frame = 1.0 / min(camera.rate_hz for camera in robot.cameras)
    assert robot.sync.camera_skew_s > frame
    assert robot.sync.state_skew_s >= 1.0 / robot.rates.joint_state_hz
    assert robot.sync.max_age_s > robot.sync.camera_skew_s + frame
    assert robot.sync.observation_timeout_s > robot.sync.max_age_s


def test_a_path_loads_as_a_name_does() -> None:
    assert load(ROOT / "embodiments" / "ur5e.yaml") == load("ur5e")
    assert load(str(ROOT / "embodiments" / "ur5e.yaml")) == load("ur5e")


def test_trossen_holds_the_simulated_task() -> None:
    constants = pytest.importorskip("gym_aloha.constants")
    robot = load("bimanual_trossen")
    pose = list(constants.START_ARM_POSE)
    finger = constants.normalize_puppet_gripper_position(pose[6])
    expected = np.array([*pose[:6], finger, *pose[8:14], finger])
    np.testing.assert_allclose(robot.home, expected, atol=1e-4)


def test_jerk_is_unlimited_where_no_figure_is_stated() -> None:
    assert load("franka").limits.jerk.tolist() == [5000.0] * 7 + [np.inf]


def test_trossen_limits_are_those_of_the_simulated_joints() -> None:
    gym_aloha = pytest.importorskip("gym_aloha")
    mujoco = pytest.importorskip("mujoco")
    folder = Path(gym_aloha.__file__).parent / "assets"
    model = mujoco.MjModel.from_xml_path(str(folder / "bimanual_viperx_transfer_cube.xml"))
    for dimension in load("bimanual_trossen").action:
        if dimension.unit != "rad":
            continue
        side, joint = dimension.name.split("_", 1)
        low, high = model.joint(f"vx300s_{side}/{joint}").range
        assert dimension.limits.lower == pytest.approx(low, abs=1e-4)
        assert dimension.limits.upper == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "raw_at_zero", "raw_at_one"),
    [
        ("bimanual_trossen", 0.01844, 0.05800),
        ("ur5e", 0.0, 0.8),
        ("franka", 0.04, 0.0),
        ("bimanual_arx", 0.0, 0.088),
        ("bimanual_agilex", 0.0, 0.07),
    ],
)
def test_gripper_values_span_the_drivers_range(
    name: str, raw_at_zero: float, raw_at_one: float
) -> None:
    gripper = next(d for d in load(name).action if d.unit == "normalised")
    assert (0.0 - gripper.offset) / gripper.scale == pytest.approx(raw_at_zero, abs=1e-6)
    assert (1.0 - gripper.offset) / gripper.scale == pytest.approx(raw_at_one, abs=1e-6)


def test_finds_the_installed_files_where_there_is_no_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "share" / "pi0_ros" / "embodiments"
    installed.mkdir(parents=True)
    (installed / "ur5e.yaml").write_bytes((ROOT / "embodiments" / "ur5e.yaml").read_bytes())
    module = tmp_path / "lib" / "python3" / "site-packages" / "pi0_ros" / "embodiment" / "loader.py"
    monkeypatch.setattr("pi0_ros.embodiment.loader.__file__", str(module))
    assert available() == ("ur5e",)
    assert load("ur5e").path == installed / "ur5e.yaml"
