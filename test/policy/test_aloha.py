"""The ALOHA transforms against the tables of the specification, and against their inverses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pi0_ros.embodiment import load
from pi0_ros.policy.aloha import AlohaActions, AlohaState, Unchanged, robot_transforms
from pi0_ros.policy.errors import PolicyError

TROSSEN = load("bimanual_trossen")
LEFT_GRIPPER, RIGHT_GRIPPER = 6, 13
STATE, ACTIONS = robot_transforms("aloha", TROSSEN)

vectors = arrays(np.float64, (4, 14), elements=st.floats(-3.0, 3.0))
openings = arrays(np.float64, (4, 2), elements=st.floats(0.0, 1.0))


def both_grippers(opening: float) -> np.ndarray:
    values = np.zeros(14)
    values[[LEFT_GRIPPER, RIGHT_GRIPPER]] = opening
    return values


def grippers(values: np.ndarray) -> list[float]:
    return [float(values[LEFT_GRIPPER]), float(values[RIGHT_GRIPPER])]


@pytest.mark.parametrize("transform", [STATE, ACTIONS], ids=["state", "actions"])
@pytest.mark.parametrize("way", ["forward", "inverse"])
def test_shoulders_and_elbows_turn_the_other_way(transform: Any, way: str) -> None:
    turned = getattr(transform, way)(np.ones(14))
    arm = [1, -1, -1, 1, 1, 1]
    assert turned[:6].tolist() == turned[7:13].tolist() == arm


@pytest.mark.parametrize(
    ("opening", "value"), [(0.0, -1.079866), (0.5, -0.140056), (1.0, 0.945653)]
)
def test_the_state_of_a_gripper_is_that_of_the_table(opening: float, value: float) -> None:
    assert grippers(STATE.forward(both_grippers(opening))) == pytest.approx([value] * 2, abs=1e-6)


@pytest.mark.parametrize(
    ("opening", "value"), [(0.0, -1.168900), (0.5, -0.112750), (1.0, 0.943400)]
)
def test_the_recorded_action_of_a_gripper_is_that_of_the_table(
    opening: float, value: float
) -> None:
    found = grippers(ACTIONS.forward(both_grippers(opening)))
    assert found == pytest.approx([value] * 2, abs=1e-6)


@pytest.mark.parametrize(("value", "opening"), [(0.0, 0.553378), (0.5, 0.790087), (1.0, 1.026795)])
def test_the_commanded_opening_of_a_gripper_is_that_of_the_table(
    value: float, opening: float
) -> None:
    found = grippers(ACTIONS.inverse(both_grippers(value)))
    assert found == pytest.approx([opening] * 2, abs=1e-6)


def test_an_opening_beyond_the_linkage_counts_as_open_or_closed() -> None:
    beyond = STATE.forward(np.stack([both_grippers(x) for x in (-0.5, 1.0, 1.5)]))
    assert np.isfinite(beyond).all()
    assert beyond[0, LEFT_GRIPPER] < -1.0799
    assert beyond[2, LEFT_GRIPPER] == pytest.approx(beyond[1, LEFT_GRIPPER], abs=1e-6)


@given(vectors)
def test_actions_are_undone_by_their_inverse(values: np.ndarray) -> None:
    np.testing.assert_allclose(ACTIONS.inverse(ACTIONS.forward(values)), values, atol=1e-12)
    np.testing.assert_allclose(ACTIONS.forward(ACTIONS.inverse(values)), values, atol=1e-12)


@given(vectors, openings)
def test_a_state_is_undone_by_its_inverse(values: np.ndarray, opening: np.ndarray) -> None:
    state = values.copy()
    state[:, [LEFT_GRIPPER, RIGHT_GRIPPER]] = opening
    # At full opening the linkage is stretched, and the angle hardly depends on the opening.
    np.testing.assert_allclose(STATE.inverse(STATE.forward(state)), state, atol=1e-7)


@given(vectors)
def test_unchanged_changes_nothing(values: np.ndarray) -> None:
    assert Unchanged().forward(values) is values
    assert Unchanged().inverse(values) is values


def test_a_base_is_left_as_it_is() -> None:
    mobile = load("mobile_trossen")
    _, actions = robot_transforms("aloha", mobile)
    assert isinstance(actions, AlohaActions)
    base = [i for i, d in enumerate(mobile.action) if d.slots.checkpoint >= 14]
    assert base
    values = np.linspace(0.1, 1.0, len(mobile.action))
    np.testing.assert_array_equal(actions.inverse(values)[base], values[base])


def test_slots_decide_and_not_the_order_of_the_file() -> None:
    assert isinstance(STATE, AlohaState)
    names = np.array(TROSSEN.state_names)
    assert names[STATE.gripper].tolist() == ["left_gripper", "right_gripper"]
    assert set(names[STATE.sign < 0]) == {
        f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow")
    }


def test_without_a_transform_nothing_is_changed() -> None:
    assert robot_transforms("none", TROSSEN) == (Unchanged(), Unchanged())


def test_refuses_aloha_on_a_robot_with_one_arm() -> None:
    with pytest.raises(PolicyError, match="aloha and ur5e has nothing in model slots"):
        robot_transforms("aloha", load("ur5e"))


def test_refuses_an_unknown_transform() -> None:
    with pytest.raises(PolicyError, match="'droid'; use none, aloha or aloha_lerobot"):
        robot_transforms("droid", TROSSEN)


def test_lerobot_scales_grippers_from_0_4_to_1_5_rad() -> None:
    """LeRobot 0.3.3: closed and open are 0.4 and 1.5 rad, in the state and in actions."""
    state, actions = robot_transforms("aloha_lerobot", TROSSEN)
    closed, opened = np.zeros(14), np.ones(14)
    angle = np.array([0.5476, 1.6296 - 0.5476]) @ np.array([[1, 1], [-1.079866, 0.945653]])
    np.testing.assert_allclose(
        [state.forward(v)[6] for v in (closed, opened)], (angle - 0.4) / 1.1, atol=1e-6
    )
    half = np.full(14, 0.5)
    assert actions.inverse(half)[6] == pytest.approx((0.5 * 1.1 + 0.4 + 0.6213) / 2.1123)
    assert actions.inverse(half)[1] == -0.5
    np.testing.assert_allclose(actions.forward(actions.inverse(half)), half)
    np.testing.assert_allclose(state.inverse(state.forward(half)), half)
