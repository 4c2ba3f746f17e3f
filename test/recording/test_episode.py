"""Episode metadata survives the bag, and refuses what it does not understand."""

from __future__ import annotations

import pytest

from pi0_ros.embodiment import load
from pi0_ros.recording.episode import EpisodeInfo, Instruction, Outcome, Termination, TopicCount
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.topics import Role, episode_topics

INFO = EpisodeInfo(
    embodiment="ur5e",
    embodiment_yaml="name: ur5e\n# ‘quoted’: π\n",
    task="fold the shirt",
    notes='with "quotes"\nand lines',
    outcome=Outcome.SUCCEEDED,
    instructions=(
        Instruction(stamp_ns=10, text="fold the shirt"),
        Instruction(stamp_ns=20, text="left sleeve"),
    ),
    software={"pi0_ros": "0.1.0"},
    start_ns=10,
    end_ns=3_000_000_010,
    topics=(
        TopicCount(
            name="/cell/joint_states",
            source="joint_states",
            type="sensor_msgs/msg/JointState",
            role=Role.JOINT_STATE,
            received=3,
            written=2,
            lost=1,
        ),
    ),
    complete=False,
    problems=("joint_states: 1 of 3 messages lost",),
    termination=Termination.STOPPED,
)


def test_comes_back_from_the_map_as_it_went_in() -> None:
    values = INFO.to_map()
    assert all(isinstance(value, str) for value in values.values())
    assert EpisodeInfo.from_map(values, "bag") == INFO


def test_knows_its_length_and_the_instruction_in_force() -> None:
    assert INFO.duration_s == 3.0
    assert [INFO.instruction_at(t) for t in (5, 10, 19, 20, 99)] == [
        *("fold the shirt", "fold the shirt", "fold the shirt"),
        *("left sleeve", "left sleeve"),
    ]


def test_finds_a_topic_by_the_embodiments_name() -> None:
    assert INFO.topic("joint_states").name == "/cell/joint_states"
    with pytest.raises(RecordingError, match="no topic 'odom'; it has joint_states"):
        INFO.topic("odom")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pi0_episode_version": None}, "not an episode of this suite"),
        ({"pi0_episode_version": "2"}, "written as version 2, this release reads up to 1"),
        ({"outcome": "great"}, "'great' is not a valid Outcome"),
        ({"topics": "[{"}, "damaged episode metadata"),
        ({"topics": '[{"role": "radar"}]'}, "'radar' is not a valid Role"),
        ({"start_ns": "now"}, "damaged episode metadata"),
    ],
)
def test_refuses_what_it_does_not_understand(change: dict[str, str | None], message: str) -> None:
    values = {k: v for k, v in {**INFO.to_map(), **change}.items() if v is not None}
    with pytest.raises(RecordingError, match=message) as caught:
        EpisodeInfo.from_map(values, "some/bag")
    assert str(caught.value).startswith("some/bag: ")


def test_an_episode_holds_every_topic_of_the_embodiment_once() -> None:
    robot = load("mobile_trossen")
    topics = {topic.name: topic for topic in episode_topics(robot)}
    assert len(topics) == len(episode_topics(robot)) == 3 + 2 + 5 + 6
    assert topics["cam_high/camera/color/image_rect_raw"].expected_hz == 30.0
    assert topics["follower_left/joint_states"].role is Role.JOINT_STATE
    assert topics["follower_left/arm_controller/joint_trajectory"].expected_hz == 50.0
    assert topics["follower_left/gripper_controller/commands"].expected_hz == 0.0
    assert topics["mobile_base/cmd_vel"].expected_hz == 0.0
    assert {"instruction", "/diagnostics"} <= topics.keys()
    assert "observation" not in topics
