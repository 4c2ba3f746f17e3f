"""Actions of an episode, read for replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from replayable import NS, ROBOT, START_NS, write_bag

from pi0_ros.dataset.recorded_actions import read_actions
from pi0_ros.recording.errors import RecordingError


def test_a_bag_gives_what_was_in_force_at_each_step(tmp_path: Path) -> None:
    path = write_bag(tmp_path, steps=20)
    recorded = read_actions(str(path))
    assert recorded.embodiment == "mobile_trossen"
    assert recorded.names == ROBOT.action_names
    assert recorded.rate_hz == 50.0
    assert recorded.task == "wave"
    assert recorded.actions.shape == (20, len(ROBOT.action))
    np.testing.assert_allclose(recorded.actions[:, 0], 0.1 + 0.01 * np.arange(20), atol=1e-6)
    base = ROBOT.action_names.index("base_x")
    np.testing.assert_allclose(recorded.actions[:, base], 0.1)
    gripper = ROBOT.action_names.index("left_gripper")
    np.testing.assert_allclose(recorded.actions[:, gripper], ROBOT.home[gripper], atol=1e-5)


@pytest.mark.parametrize("offset_ns", [0, 100, 200])
def test_the_first_step_is_the_first_command_at_whatever_nanosecond_it_came(
    tmp_path: Path, offset_ns: int
) -> None:
    recorded = read_actions(str(write_bag(tmp_path, steps=3, start_ns=START_NS + offset_ns)))
    np.testing.assert_allclose(recorded.actions[:, 0], [0.1, 0.11, 0.12], atol=1e-6)


def test_a_folder_of_bags_needs_a_number_and_an_unknown_path_is_named(tmp_path: Path) -> None:
    for k in range(2):
        write_bag(tmp_path, steps=3, name=f"take_{k}", start_ns=START_NS + k * NS)
    with pytest.raises(RecordingError, match="holds 2 bags; name one of them"):
        read_actions(str(tmp_path))
    assert read_actions(f"{tmp_path}:1").title.endswith("take_1")
    with pytest.raises(RecordingError, match="no episode 2; it has 2 bags"):
        read_actions(f"{tmp_path}:2")
    with pytest.raises(RecordingError, match="nothing: does not exist"):
        read_actions(str(tmp_path / "nothing"))


def test_a_bag_in_which_a_controller_was_never_commanded_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path, steps=5, without="left_gripper")
    with pytest.raises(RecordingError, match=r"nothing was commanded on .*left/gripper"):
        read_actions(str(path))


def test_the_executors_own_stamps_count_where_its_reports_were_recorded(tmp_path: Path) -> None:
    recorded = read_actions(str(write_bag(tmp_path, steps=20, reported=True)))
    np.testing.assert_allclose(recorded.actions[:, 0], 0.1 + 0.01 * np.arange(20), atol=1e-6)
