"""Every way a file can be wrong, each with the words the reader gets.

Over 300 lines: one table of faults, each with its message.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pi0_ros.embodiment import EmbodimentError, load

GOOD: dict[str, Any] = yaml.safe_load(
    """
name: toy
description: One joint, one gripper, a base that only drives ahead.
rates: {chunk_hz: 50, control_hz: 50, joint_state_hz: 50, horizon: 50, execution_steps: 25}
sync: {camera_skew_s: 0.04, state_skew_s: 0.03, max_age_s: 0.25, observation_timeout_s: 0.5}
cameras:
  top: {slot: base_0_rgb, topic: top/image, encoding: rgb8, width: 640, height: 480, rate_hz: 30}
  wrist: {slot: left_wrist_0_rgb, topic: wrist/image, encoding: rgb8, width: 640, height: 480,
          rate_hz: 30}
absent_slots: [right_wrist_0_rgb]
state:
  - topic: joint_states
    unit: rad
    dimensions:
      elbow: {joint: elbow_joint, slots: [0, 0]}
      gripper: {joint: finger, slots: [6, 6], unit: normalised, scale: 25.0}
action:
  - unit: rad
    limits: {lower: -1.0, upper: 1.0, velocity: 2.0, acceleration: 5.0}
    dimensions:
      elbow: {joint: elbow_joint, slots: [0, 0], home: 0.5}
      gripper: {joint: finger, slots: [6, 6], unit: normalised, scale: 25.0, home: 0.0}
  - unit: m/s
    limits: {lower: -0.5, upper: 0.5, velocity: 1.0, acceleration: 5.0}
    dimensions:
      drive: {joint: linear.x, slots: [14, 14]}
controllers:
  arm: {kind: forward_position, topic: arm/commands, stop: hold, dimensions: [elbow]}
  gripper: {kind: gripper, topic: gripper/commands, stop: keep_last, dimensions: [gripper]}
  base: {kind: twist, topic: cmd_vel, stop: ramp_to_zero, dimensions: [drive]}
"""
)


def _edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """An edit that sets the value at a dotted path; ``...`` deletes it."""

    def edit(raw: Any) -> None:
        *parents, last = (int(k) if k.isdigit() else k for k in path.split("/"))
        for key in parents:
            raw = raw[key]
        if value is ...:
            del raw[last]
        else:
            raw[last] = value

    return edit


def _problems(tmp_path: Path, *edits: Callable[[dict[str, Any]], None]) -> tuple[str, ...]:
    raw = copy.deepcopy(GOOD)
    for edit in edits:
        edit(raw)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    with pytest.raises(EmbodimentError) as caught:
        load(path)
    return caught.value.problems


def _elbow(**changes: Any) -> dict[str, Any]:
    return {"joint": "elbow_joint", "slots": [0, 0], "home": 0.5, **changes}


STATE_ELBOW = "state/0/dimensions/elbow"
ACTION_ELBOW = "action/0/dimensions/elbow"
DRIVE = "action/1/dimensions/drive"

CASES: dict[str, tuple[Callable[[dict[str, Any]], None], str, str]] = {
    # what is wrong: (edit, key path in the message, words in the message)
    "a_paper_slot_beyond_17": (
        _edit(f"{STATE_ELBOW}/slots", [18, 0]),
        "state[0].dimensions.elbow.slots[0]",
        "18 is not a slot of the 18-wide vector; use 0..17",
    ),
    "a_checkpoint_slot_beyond_31": (
        _edit(f"{ACTION_ELBOW}/slots", [0, 32]),
        "action[0].dimensions.elbow.slots[1]",
        "32 is not a slot of the 32-wide vector; use 0..31",
    ),
    "a_negative_slot": (
        _edit(f"{ACTION_ELBOW}/slots", [-1, 0]),
        "action[0].dimensions.elbow.slots[0]",
        "-1 is not a slot",
    ),
    "one_slot_instead_of_two": (
        _edit(f"{ACTION_ELBOW}/slots", [3]),
        "action[0].dimensions.elbow.slots",
        "[18-wide slot, 32-wide slot]",
    ),
    "a_duplicate_slot": (
        _edit(f"{STATE_ELBOW}/slots", [6, 0]),
        "state[0].dimensions.gripper.slots[0]",
        "paper slot 6 is taken by state[0].dimensions.elbow.slots[0]",
    ),
    "a_duplicate_name_in_two_groups": (
        _edit("action/1/dimensions/elbow", _elbow(slots=[3, 3])),
        "action[1].dimensions.elbow",
        "'elbow' is already a dimension at action[0].dimensions.elbow",
    ),
    "a_joint_read_twice": (
        _edit("state/0/dimensions/gripper/joint", "elbow_joint"),
        "state[0].dimensions.gripper.joint",
        "position of joint 'elbow_joint' on 'joint_states' is already read",
    ),
    "missing_limits": (
        _edit("action/0/limits", ...),
        "action[0].dimensions.elbow.limits",
        "lower and upper and velocity and acceleration missing",
    ),
    "a_missing_acceleration": (
        _edit("action/0/limits/acceleration", ...),
        "action[0].dimensions.elbow.limits",
        "acceleration missing; state it here or in the group's limits",
    ),
    "lower_above_upper": (
        _edit("action/0/limits/lower", 2.0),
        "action[0].dimensions.elbow.limits",
        "lower 2 is not below upper 1",
    ),
    "a_velocity_limit_of_zero": (
        _edit("action/0/limits/velocity", 0),
        "action[0].limits.velocity",
        "0 is not positive",
    ),
    "a_home_outside_the_limits": (
        _edit(f"{ACTION_ELBOW}/home", 1.5),
        "action[0].dimensions.elbow.home",
        "1.5 is outside the limits -1..1",
    ),
    "a_position_without_home": (
        _edit(f"{ACTION_ELBOW}/home", ...),
        "action[0].dimensions.elbow.home",
        "missing; state the value at the home pose",
    ),
    "a_velocity_with_a_home": (
        _edit(f"{DRIVE}/home", 0.1),
        "action[1].dimensions.drive.home",
        "0.1 for a velocity",
    ),
    "an_unknown_controller_kind": (
        _edit("controllers/arm/kind", "forward_positions"),
        "controllers.arm.kind",
        "did you mean 'forward_position'?",
    ),
    "a_controller_of_an_unknown_dimension": (
        _edit("controllers/arm/dimensions", ["elbow", "elbwo"]),
        "controllers.arm.dimensions[1]",
        "'elbwo' is not an action dimension; did you mean 'elbow'?",
    ),
    "an_action_carried_by_no_controller": (
        _edit("controllers/arm", ...),
        "action[0].dimensions.elbow",
        "carried by no controller",
    ),
    "an_action_carried_by_two_controllers": (
        _edit("controllers/gripper/dimensions", ["gripper", "elbow"]),
        "action[0].dimensions.elbow",
        "carried by arm and gripper",
    ),
    "two_controllers_on_one_topic": (
        _edit("controllers/gripper/topic", "arm/commands"),
        "controllers.gripper.topic",
        "'arm/commands' is already commanded at controllers.arm.topic",
    ),
    "a_message_the_controller_does_not_take": (
        _edit("controllers/arm/message_type", "std_msgs/msg/Float32MultiArray"),
        "controllers.arm.message_type",
        "use 'std_msgs/msg/Float64MultiArray'",
    ),
    "a_joint_commanded_twice": (
        _edit("controllers/arm/dimensions", ["elbow", "elbow"]),
        "controllers.arm.dimensions[1]",
        "joint 'elbow_joint' is already commanded",
    ),
    "ramping_a_position_to_zero": (
        _edit("controllers/arm/stop", "ramp_to_zero"),
        "controllers.arm.stop",
        "'ramp_to_zero' makes no sense for a forward_position controller; use hold",
    ),
    "holding_a_twist": (
        _edit("controllers/base/stop", "hold"),
        "controllers.base.stop",
        "'hold' makes no sense for a twist controller; use ramp_to_zero",
    ),
    "a_twist_of_something_that_is_no_axis": (
        _edit(f"{DRIVE}/joint", "x"),
        "action[1].dimensions.drive.joint",
        "'x' is not an axis of a twist; use one of linear.x",
    ),
    "a_twist_in_the_wrong_unit": (
        _edit(f"{DRIVE}/unit", "rad/s"),
        "action[1].dimensions.drive.unit",
        "'rad/s' for linear.x; use m/s",
    ),
    "a_base_that_cannot_stop": (
        _edit("action/1/limits/lower", 0.1),
        "action[1].dimensions.drive.limits",
        "excludes 0",
    ),
    "a_velocity_sent_as_a_position": (
        _edit(f"{ACTION_ELBOW}/unit", "m/s"),
        "action[0].dimensions.elbow",
        "needs a controller of kind twist",
    ),
    "a_velocity_measured_by_a_state": (
        _edit(f"{DRIVE}/state", "elbow"),
        "action[1].dimensions.drive.state",
        "'elbow' for a velocity",
    ),
    "a_state_reference_that_does_not_exist": (
        _edit(f"{ACTION_ELBOW}/state", "elbows"),
        "action[0].dimensions.elbow.state",
        "'elbows' is not a state dimension; did you mean 'elbow'?",
    ),
    "an_action_that_nothing_measures": (
        _edit("state/0/dimensions/elbow", ...),
        "action[0].dimensions.elbow.state",
        "missing, and no state dimension is named 'elbow'",
    ),
    "two_cameras_in_one_slot": (
        _edit("cameras/wrist/slot", "base_0_rgb"),
        "cameras.wrist.slot",
        "'base_0_rgb' is already filled by cameras.top.slot",
    ),
    "a_slot_neither_filled_nor_absent": (
        _edit("absent_slots", []),
        "cameras",
        "slot 'right_wrist_0_rgb' has no camera; add one or list it in absent_slots",
    ),
    "a_slot_filled_and_absent": (
        _edit("absent_slots", ["right_wrist_0_rgb", "base_0_rgb"]),
        "absent_slots[1]",
        "'base_0_rgb' has a camera",
    ),
    "an_unknown_camera_slot": (
        _edit("cameras/top/slot", "base_0"),
        "cameras.top.slot",
        "did you mean 'base_0_rgb'?",
    ),
    "two_cameras_on_one_topic": (
        _edit("cameras/wrist/topic", "top/image"),
        "cameras.wrist.topic",
        "'top/image' is already read at cameras.top.topic",
    ),
    "an_unknown_encoding": (
        _edit("cameras/top/encoding", "rgb"),
        "cameras.top.encoding",
        "'rgb' is not an encoding of sensor_msgs/msg/Image",
    ),
    "a_raw_encoding_of_a_compressed_image": (
        _edit("cameras/top/message_type", "sensor_msgs/msg/CompressedImage"),
        "cameras.top.encoding",
        "use jpeg, png",
    ),
    "an_unknown_camera_message": (
        _edit("cameras/top/message_type", "sensor_msgs/Image"),
        "cameras.top.message_type",
        "did you mean 'sensor_msgs/msg/Image'?",
    ),
    "an_unknown_state_message": (
        _edit("state/0/message_type", "nav_msgs/msg/Odometry"),
        "state[0].message_type",
        "use one of sensor_msgs/msg/JointState",
    ),
    "an_unknown_state_field": (
        _edit("state/0/field", "positions"),
        "state[0].field",
        "did you mean 'position'?",
    ),
    "more_steps_executed_than_predicted": (
        _edit("rates/execution_steps", 51),
        "rates.execution_steps",
        "51 exceeds the horizon of 50 steps; use 1..50",
    ),
    "a_rate_of_zero": (_edit("rates/chunk_hz", 0), "rates.chunk_hz", "0 is not positive"),
    "a_negative_rate": (_edit("cameras/top/rate_hz", -30), "cameras.top.rate_hz", "-30"),
    "a_tolerance_of_zero": (_edit("sync/max_age_s", 0.0), "sync.max_age_s", "not positive"),
    "a_horizon_of_zero": (_edit("rates/horizon", 0), "rates.horizon", "use 1 or more"),
    "a_fractional_horizon": (_edit("rates/horizon", 50.5), "rates.horizon", "not a whole number"),
    "a_limit_that_is_not_a_number": (
        _edit("action/0/limits/upper", float("nan")),
        "action[0].limits.upper",
        "nan is not finite",
    ),
    "an_infinite_limit": (
        _edit("action/0/limits/upper", float("inf")),
        "action[0].limits.upper",
        "inf is not finite",
    ),
    "a_scale_of_zero": (
        _edit(f"{STATE_ELBOW}/scale", 0),
        "state[0].dimensions.elbow.scale",
        "0 cannot be undone by a division",
    ),
    "an_unknown_unit": (_edit("state/0/unit", "deg"), "state[0].unit", "use one of rad, m"),
    "a_number_as_text": (
        _edit("rates/chunk_hz", "1e-5"),
        "rates.chunk_hz",
        "it is text, write 1.0e-05 without quotes",
    ),
    "an_absolute_topic": (
        _edit("controllers/arm/topic", "/arm/commands"),
        "controllers.arm.topic",
        "drop a leading '/'",
    ),
    "a_name_in_capitals": (_edit("name", "Toy"), "name", "'Toy' is not a name"),
    "a_dimension_name_that_is_a_number": (
        _edit("state/0/dimensions/7", {"joint": "j", "slots": [3, 3]}),
        "state[0].dimensions.7",
        "7 is not a name",
    ),
    "an_unknown_key": (
        _edit(f"{STATE_ELBOW}/jiont", "x"),
        "state[0].dimensions.elbow.jiont",
        "unknown key; did you mean 'joint'?",
    ),
    "an_unknown_section": (_edit("camera", {}), "camera", "did you mean 'cameras'?"),
    "a_missing_section": (_edit("rates", ...), "rates", "missing; add it"),
    "an_empty_section": (_edit("controllers", {}), "controllers", "state at least one"),
    "a_list_where_keys_belong": (_edit("cameras", []), "cameras", "[] is not a mapping of keys"),
    "a_row_that_is_no_mapping": (
        _edit("controllers/arm", "elbow"),
        "controllers.arm",
        "'elbow' is not a mapping of keys",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refuses(case: str, tmp_path: Path) -> None:
    edit, key, words = CASES[case]
    problems = _problems(tmp_path, edit)
    start = f"{tmp_path / 'robot.yaml'}:"
    assert all(problem.startswith(start) for problem in problems)
    places = [problem[len(start) :].split(": ", 2) for problem in problems]
    hits = [text for _, place, text in places if place.startswith(key)]
    assert any(words in text for text in hits), "\n".join(problems)


def test_the_toy_file_of_these_tests_is_good(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(GOOD, sort_keys=False), encoding="utf-8")
    robot = load(path)
    assert robot.action_names == ("elbow", "gripper", "drive")
    assert robot.action[2].state is None


def test_names_all_errors_of_a_file_at_once_in_its_order(tmp_path: Path) -> None:
    problems = _problems(
        tmp_path,
        _edit("rates/chunk_hz", 0),
        _edit("rates/execution_steps", 60),
        _edit("cameras/top/encoding", "rgb"),
        _edit(f"{ACTION_ELBOW}/home", 9.0),
        _edit("controllers/base/stop", "hold"),
    )
    keys = [problem.split(": ")[1] for problem in problems]
    assert keys == [
        "rates.chunk_hz",
        "rates.execution_steps",
        "cameras.top.encoding",
        "action[0].dimensions.elbow.home",
        "controllers.base.stop",
    ]


def test_one_wrong_value_makes_one_error(tmp_path: Path) -> None:
    assert len(_problems(tmp_path, _edit(f"{ACTION_ELBOW}/scale", 0))) == 1
    assert len(_problems(tmp_path, _edit("controllers/arm/kind", "servo"))) == 1
    assert len(_problems(tmp_path, _edit("cameras/top/width", 0))) == 1


def test_names_the_line_of_the_value(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    lines = yaml.safe_dump(GOOD, sort_keys=False).splitlines()
    number = next(i for i, line in enumerate(lines) if line.strip() == "encoding: rgb8")
    lines[number] = lines[number].replace("rgb8", "rgb")
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(EmbodimentError, match=f"robot.yaml:{number + 1}: cameras.top.encoding"):
        load(path)
