"""Joint states in, commands and model vectors out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pi0_ros.embodiment import (
    EmbodimentError,
    JointStateError,
    JointStatePacker,
    action_slots,
    available,
    controller_packers,
    load,
    measured_action,
    pad_action,
    pad_state,
    state_slots,
    unpad_action,
    unpad_state,
)

UR = load("ur5e")
TROSSEN = load("bimanual_trossen")
FIBOCOM = load("mobile_fibocom")
LEFT = "follower_left/joint_states"
RIGHT = "follower_right/joint_states"
JOINTS = [
    "waist",
    "shoulder",
    "elbow",
    "forearm_roll",
    "wrist_angle",
    "wrist_rotate",
    "left_finger",
]
POSE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.05800]


def test_packs_into_embodiment_order() -> None:
    indices, values = JointStatePacker(TROSSEN).pack(RIGHT, JOINTS, POSE)
    np.testing.assert_array_equal(indices, np.arange(7, 14))
    np.testing.assert_allclose(values, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0], atol=1e-5)


def test_matches_reordered_and_additional_joints_by_name() -> None:
    packer = JointStatePacker(TROSSEN)
    names = [*reversed(JOINTS), "gripper", "right_finger"]
    _, values = packer.pack(LEFT, names, [*reversed(POSE), 9.0, 9.0])
    np.testing.assert_allclose(values, packer.pack(LEFT, JOINTS, POSE)[1])


def test_follows_a_driver_that_changes_its_order() -> None:
    packer = JointStatePacker(TROSSEN)
    expected = packer.pack(LEFT, JOINTS, POSE)[1]
    for shift in range(20):
        order = np.roll(np.arange(7), shift)
        names = [f"extra_{shift}", *(JOINTS[i] for i in order)]
        _, values = packer.pack(LEFT, names, [7.0, *(POSE[i] for i in order)])
        np.testing.assert_allclose(values, expected)


def test_fills_the_state_from_several_topics() -> None:
    packer = JointStatePacker(UR)
    assert packer.topics == ("joint_states", "gripper/joint_states")
    state = np.full(7, np.nan)
    names = [d.joint for d in UR.state[:6]]
    for topic, joints, numbers in (
        ("joint_states", names, np.arange(6.0)),
        ("gripper/joint_states", ["robotiq_85_left_knuckle_joint"], [0.4]),
    ):
        indices, values = packer.pack(topic, joints, numbers)
        np.testing.assert_array_equal(indices, packer.indices(topic))
        state[indices] = values
    np.testing.assert_allclose(state, [0, 1, 2, 3, 4, 5, 0.5])


def test_refuses_a_missing_joint_naming_it_and_the_topic() -> None:
    with pytest.raises(JointStateError, match=r"follower_left/joint_states: joint 'elbow' missing"):
        JointStatePacker(TROSSEN).pack(
            LEFT, [j for j in JOINTS if j != "elbow"], [p for p in POSE if p != 0.3]
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_a_number_that_is_not_finite(bad: float) -> None:
    pose = [*POSE[:2], bad, *POSE[3:]]
    with pytest.raises(JointStateError, match=r"position of joint 'elbow' is -?(nan|inf)"):
        JointStatePacker(TROSSEN).pack(LEFT, JOINTS, pose)


def test_ignores_what_other_joints_send() -> None:
    _, values = JointStatePacker(TROSSEN).pack(LEFT, [*JOINTS, "other"], [*POSE, np.nan])
    assert np.isfinite(values).all()


def test_refuses_fewer_numbers_than_names() -> None:
    with pytest.raises(JointStateError, match="0 numbers in position for 7 joints"):
        JointStatePacker(TROSSEN).pack(LEFT, JOINTS, [])


def test_refuses_a_topic_the_embodiment_does_not_read() -> None:
    with pytest.raises(JointStateError, match="it reads follower_left/joint_states"):
        JointStatePacker(TROSSEN).pack("joint_states", JOINTS, POSE)


def test_controllers_carry_each_dimension_once_in_message_order() -> None:
    packers = controller_packers(FIBOCOM)
    assert [list(p.indices) for p in packers] == [
        [0, 1, 2, 3, 4, 5],
        [6],
        [7, 8, 9, 10, 11, 12],
        [13],
        [14, 15, 16],
    ]
    assert packers[-1].joints == ("linear.x", "linear.y", "angular.z")


def test_commands_are_in_the_drivers_numbers() -> None:
    action = np.zeros(14)
    action[6], action[13] = 0.0, 1.0
    raw = {p.name: p.raw(action) for p in controller_packers(TROSSEN)}
    np.testing.assert_allclose(raw["left_gripper"], [0.01844], atol=1e-6)
    np.testing.assert_allclose(raw["right_gripper"], [0.05800], atol=1e-6)
    np.testing.assert_array_equal(raw["left_arm"], np.zeros(6))


def test_a_velocity_converts_without_the_offset() -> None:
    gripper = controller_packers(TROSSEN)[1]
    np.testing.assert_allclose(gripper.raw_rate_of(np.ones(1)), [0.03956], atol=1e-6)


@pytest.mark.parametrize("name", available())
def test_raw_and_value_are_inverses(name: str) -> None:
    robot = load(name)
    actions = np.random.default_rng(0).normal(size=(5, len(robot.action)))
    for packer in controller_packers(robot):
        np.testing.assert_allclose(packer.value(packer.raw(actions)), actions[:, packer.indices])


def test_measured_action_is_the_state_and_zero_for_the_base() -> None:
    state = np.arange(14.0) + 1
    np.testing.assert_array_equal(measured_action(FIBOCOM, state), [*state, 0, 0, 0])
    assert measured_action(FIBOCOM, np.ones((3, 14))).shape == (3, 17)


@st.composite
def _vectors(draw: st.DrawFn, kind: str) -> tuple[str, int, np.ndarray]:
    name = draw(st.sampled_from(available()))
    size = len(getattr(load(name), kind))
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    numbers = st.floats(-10, 10, width=32)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return (
        name,
        draw(st.sampled_from([18, 32])),
        draw(hnp.arrays(dtype, (*batch, size), elements=numbers)),
    )


@settings(max_examples=60, deadline=None)
@given(_vectors("action"))
def test_unpadding_undoes_padding_of_actions(case: tuple[str, int, np.ndarray]) -> None:
    name, width, values = case
    robot = load(name)
    padded = pad_action(robot, values, width)
    assert padded.shape == (*values.shape[:-1], width)
    assert padded.dtype == values.dtype
    np.testing.assert_array_equal(unpad_action(robot, padded), values)
    unused = np.setdiff1d(np.arange(width), action_slots(robot, width))
    assert not padded[..., unused].any()


@settings(max_examples=60, deadline=None)
@given(_vectors("state"))
def test_unpadding_undoes_padding_of_states(case: tuple[str, int, np.ndarray]) -> None:
    name, width, values = case
    robot = load(name)
    padded = pad_state(robot, values, width)
    np.testing.assert_array_equal(unpad_state(robot, padded), values)
    unused = np.setdiff1d(np.arange(width), state_slots(robot, width))
    assert not padded[..., unused].any()


def test_refuses_a_width_without_slots() -> None:
    with pytest.raises(EmbodimentError, match="no slots for a width of 24; use 18"):
        pad_state(UR, np.zeros(7), 24)


def test_refuses_a_vector_of_another_robot() -> None:
    with pytest.raises(EmbodimentError, match="14 values for 7 dimensions"):
        pad_state(UR, np.zeros(14), 32)
