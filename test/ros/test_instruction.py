"""Which instruction the policy follows, and what it publishes of an operator's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Graph
from policy_rig import Scene
from rclpy.parameter import Parameter
from std_msgs.msg import String

from pi0_msgs.msg import Instruction as InstructionMessage
from pi0_ros.instruction import Instruction, InstructionSource
from pi0_ros.nodes.instruction import instruction_message
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS
from pi0_ros.stamps import NS_PER_S

Given = Callable[..., Instruction]


@pytest.fixture
def heard(ros: Graph) -> list[Any]:
    """Every message on topic ``instruction``."""
    return ros.collect(InstructionMessage, "instruction", LATCHED_QOS)


@pytest.fixture
def scene(ros: Graph, heard: list[Any]) -> Scene:
    return Scene(ros, prompt="")


@pytest.fixture
def plan(ros: Graph, scene: Scene) -> Given:
    """Publishes an instruction of a planner."""
    publisher = ros.publisher(InstructionMessage, "instruction", LATCHED_QOS)

    def give(text: str, id: str = "plan:1", stamp_ns: int | None = None) -> Instruction:
        instruction = Instruction(
            text=text,
            source=InstructionSource.PLANNER,
            id=id,
            stamp_ns=scene.now_ns() if stamp_ns is None else stamp_ns,
        )
        publisher.publish(instruction_message(instruction))
        return instruction

    return give


def follows(scene: Scene, text: str) -> None:
    instructions = scene.node._instructions
    scene.ros.spin_until(lambda: instructions.text == text, what=f"instruction {text!r}")


def test_a_message_and_its_view_say_the_same() -> None:
    instruction = Instruction(text="fold", source=InstructionSource.REPLAY, id="a:1", stamp_ns=7)
    assert Instruction.of(instruction_message(instruction)) == instruction
    assert InstructionMessage.OPERATOR == InstructionSource.OPERATOR
    assert InstructionMessage.PLANNER == InstructionSource.PLANNER
    assert InstructionMessage.REPLAY == InstructionSource.REPLAY


def test_a_source_that_is_not_known_yet_is_unknown() -> None:
    assert Instruction.of(InstructionMessage(source=200)).source is InstructionSource.UNKNOWN


def test_what_a_person_says_on_prompt_is_published_as_an_instruction(
    scene: Scene, heard: list[Any]
) -> None:
    before_ns = scene.now_ns()
    scene.say("fold the towel")
    scene.ros.spin_until(lambda: heard, what="an instruction")
    given = Instruction.of(heard[0])
    assert (given.text, given.source) == ("fold the towel", InstructionSource.OPERATOR)
    assert before_ns <= given.stamp_ns <= scene.now_ns()
    assert scene.first_chunk().prompt == "fold the towel"


def test_the_same_text_given_twice_has_two_ids(scene: Scene, heard: list[Any]) -> None:
    for count in (1, 2):
        scene.say("fold the towel")
        scene.ros.spin_until(lambda count=count: len(heard) == count, what="an instruction")
    assert heard[0].id != heard[1].id


def test_the_parameter_is_published_at_the_start_and_when_it_changes(
    ros: Graph, heard: list[Any]
) -> None:
    scene = Scene(ros, prompt="fold the towel")
    ros.spin_until(lambda: heard, what="the instruction at the start")
    scene.node.set_parameters([Parameter("prompt", value="open the drawer")])
    ros.spin_until(lambda: len(heard) == 2, what="the new instruction")
    assert [message.text for message in heard] == ["fold the towel", "open the drawer"]


def test_what_is_said_to_an_inactive_node_is_published_when_it_starts(
    scene: Scene, heard: list[Any], plan: Given
) -> None:
    scene.node.trigger_deactivate()
    scene.say("fold the towel")
    follows(scene, "fold the towel")
    plan("grasp the towel")
    # The planner's came after the operator's, and nothing of the operator's came between.
    scene.ros.spin_until(lambda: heard, what="the planner's")
    scene.say("open the drawer")
    follows(scene, "open the drawer")
    scene.node.trigger_activate()
    scene.ros.spin_until(lambda: len(heard) == 2, what="the operator's")
    assert [message.text for message in heard] == ["grasp the towel", "open the drawer"]


def test_follows_a_planner_and_names_it(ros: Graph, scene: Scene, plan: Given) -> None:
    diagnostics = ros.collect(DiagnosticArray, "/diagnostics", COMMAND_QOS)
    plan("grasp the towel")
    assert scene.first_chunk().prompt == "grasp the towel"
    diagnostics.clear()
    ros.spin_until(lambda: diagnostics, what="diagnostics")
    values = {pair.key: pair.value for pair in diagnostics[-1].status[0].values}
    assert (values["prompt"], values["instruction_source"]) == ("grasp the towel", "planner")


def test_the_newest_instruction_wins_over_either_source(
    scene: Scene, heard: list[Any], plan: Given
) -> None:
    scene.say("fold the towel")
    follows(scene, "fold the towel")
    plan("grasp the towel")
    follows(scene, "grasp the towel")
    scene.say("stop and open the gripper")
    follows(scene, "stop and open the gripper")
    # The node reads its own message before the test does, and does not follow it again.
    scene.ros.spin_until(
        lambda: heard and heard[-1].text == "stop and open the gripper", what="the last one"
    )
    assert scene.node._instructions.text == "stop and open the gripper"


def test_an_instruction_given_before_the_one_in_force_is_not_followed(
    scene: Scene, plan: Given
) -> None:
    newest = plan("grasp the towel")
    follows(scene, "grasp the towel")
    plan("go home", id="plan:0", stamp_ns=newest.stamp_ns - NS_PER_S)
    # Messages of one publisher arrive in order: with the third, the second was read.
    plan("lift the towel", id="plan:2")
    seen: list[str] = []

    def third() -> bool:
        seen.append(scene.node._instructions.text)
        return seen[-1] == "lift the towel"

    scene.ros.spin_until(third, what="the third instruction")
    assert "go home" not in seen


def test_after_the_clock_was_set_back_an_instruction_is_followed(scene: Scene, plan: Given) -> None:
    plan("grasp the towel", stamp_ns=scene.now_ns() + 60 * NS_PER_S)
    follows(scene, "grasp the towel")
    plan("lift the towel", id="plan:2")
    follows(scene, "lift the towel")


def test_an_instruction_without_a_stamp_counts_as_given_on_arrival(
    scene: Scene, plan: Given
) -> None:
    scene.say("fold the towel")
    follows(scene, "fold the towel")
    plan("grasp the towel", stamp_ns=0)
    follows(scene, "grasp the towel")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_instruction_ends_inference(scene: Scene, plan: Given, text: str) -> None:
    plan("grasp the towel")
    scene.first_chunk()
    plan(text, id="plan:2")
    follows(scene, "")
    count = len(scene.backend.seen)
    scene.report(16)
    scene.observe()
    scene.ros.spin_until(lambda: scene.node._newest is not None, what="an observation kept")
    assert len(scene.backend.seen) == count
    assert scene.node._read_diagnostics()[1].startswith("no prompt")


def test_the_topic_prompt_alone_drives_the_policy(ros: Graph, scene: Scene) -> None:
    ros.publisher(String, "prompt", LATCHED_QOS).publish(String(data="pour the coffee"))
    assert scene.first_chunk().prompt == "pour the coffee"
