"""Which instruction the policy follows, and what it publishes of an operator's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Graph
from policy_rig import PolicyRig
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
def rig(ros: Graph, heard: list[Any]) -> PolicyRig:
    return PolicyRig(ros, prompt="")


@pytest.fixture
def plan(ros: Graph, rig: PolicyRig) -> Given:
    """Publishes an instruction of a planner."""
    publisher = ros.publisher(InstructionMessage, "instruction", LATCHED_QOS)

    def give(text: str, id: str = "plan:1", stamp_ns: int | None = None) -> Instruction:
        instruction = Instruction(
            text=text,
            source=InstructionSource.PLANNER,
            id=id,
            stamp_ns=rig.now_ns() if stamp_ns is None else stamp_ns,
        )
        publisher.publish(instruction_message(instruction))
        return instruction

    return give


def follows(rig: PolicyRig, text: str) -> None:
    instructions = rig.node._instructions
    rig.ros.spin_until(lambda: instructions.text == text, what=f"instruction {text!r}")


def test_a_message_and_its_view_say_the_same() -> None:
    instruction = Instruction(text="fold", source=InstructionSource.REPLAY, id="a:1", stamp_ns=7)
    assert Instruction.of(instruction_message(instruction)) == instruction
    assert InstructionMessage.OPERATOR == InstructionSource.OPERATOR
    assert InstructionMessage.PLANNER == InstructionSource.PLANNER
    assert InstructionMessage.REPLAY == InstructionSource.REPLAY


def test_a_source_that_is_not_known_yet_is_unknown() -> None:
    assert Instruction.of(InstructionMessage(source=200)).source is InstructionSource.UNKNOWN


def test_what_a_person_says_on_prompt_is_published_as_an_instruction(
    rig: PolicyRig, heard: list[Any]
) -> None:
    before_ns = rig.now_ns()
    rig.say("fold the towel")
    rig.ros.spin_until(lambda: heard, what="an instruction")
    given = Instruction.of(heard[0])
    assert (given.text, given.source) == ("fold the towel", InstructionSource.OPERATOR)
    assert before_ns <= given.stamp_ns <= rig.now_ns()
    assert rig.first_chunk().prompt == "fold the towel"


def test_the_same_text_given_twice_has_two_ids(rig: PolicyRig, heard: list[Any]) -> None:
    for count in (1, 2):
        rig.say("fold the towel")
        rig.ros.spin_until(lambda count=count: len(heard) == count, what="an instruction")
    assert heard[0].id != heard[1].id


def test_the_parameter_is_published_at_the_start_and_when_it_changes(
    ros: Graph, heard: list[Any]
) -> None:
    rig = PolicyRig(ros, prompt="fold the towel")
    ros.spin_until(lambda: heard, what="the instruction at the start")
    rig.node.set_parameters([Parameter("prompt", value="open the drawer")])
    ros.spin_until(lambda: len(heard) == 2, what="the new instruction")
    assert [message.text for message in heard] == ["fold the towel", "open the drawer"]


def test_what_is_said_to_an_inactive_node_is_published_when_it_starts(
    rig: PolicyRig, heard: list[Any], plan: Given
) -> None:
    rig.node.trigger_deactivate()
    rig.say("fold the towel")
    follows(rig, "fold the towel")
    plan("grasp the towel")
    # The planner's came after the operator's, and nothing of the operator's came between.
    rig.ros.spin_until(lambda: heard, what="the planner's")
    rig.say("open the drawer")
    follows(rig, "open the drawer")
    rig.node.trigger_activate()
    rig.ros.spin_until(lambda: len(heard) == 2, what="the operator's")
    assert [message.text for message in heard] == ["grasp the towel", "open the drawer"]


def test_follows_a_planner_and_names_it(ros: Graph, rig: PolicyRig, plan: Given) -> None:
    diagnostics = ros.collect(DiagnosticArray, "/diagnostics", COMMAND_QOS)
    plan("grasp the towel")
    assert rig.first_chunk().prompt == "grasp the towel"
    diagnostics.clear()
    ros.spin_until(lambda: diagnostics, what="diagnostics")
    values = {pair.key: pair.value for pair in diagnostics[-1].status[0].values}
    assert (values["prompt"], values["instruction_source"]) == ("grasp the towel", "planner")


def test_the_newest_instruction_wins_over_either_source(
    rig: PolicyRig, heard: list[Any], plan: Given
) -> None:
    rig.say("fold the towel")
    follows(rig, "fold the towel")
    plan("grasp the towel")
    follows(rig, "grasp the towel")
    rig.say("stop and open the gripper")
    follows(rig, "stop and open the gripper")
    # The node reads its own message before the test does, and does not follow it again.
    rig.ros.spin_until(
        lambda: heard and heard[-1].text == "stop and open the gripper", what="the last one"
    )
    assert rig.node._instructions.text == "stop and open the gripper"


def test_an_instruction_given_before_the_one_in_force_is_not_followed(
    rig: PolicyRig, plan: Given
) -> None:
    newest = plan("grasp the towel")
    follows(rig, "grasp the towel")
    plan("go home", id="plan:0", stamp_ns=newest.stamp_ns - NS_PER_S)
    # Messages of one publisher arrive in order: with the third, the second was read.
    plan("lift the towel", id="plan:2")
    seen: list[str] = []

    def third() -> bool:
        seen.append(rig.node._instructions.text)
        return seen[-1] == "lift the towel"

    rig.ros.spin_until(third, what="the third instruction")
    assert "go home" not in seen


def test_after_the_clock_was_set_back_an_instruction_is_followed(
    rig: PolicyRig, plan: Given
) -> None:
    plan("grasp the towel", stamp_ns=rig.now_ns() + 60 * NS_PER_S)
    follows(rig, "grasp the towel")
    plan("lift the towel", id="plan:2")
    follows(rig, "lift the towel")


def test_an_instruction_without_a_stamp_counts_as_given_on_arrival(
    rig: PolicyRig, plan: Given
) -> None:
    rig.say("fold the towel")
    follows(rig, "fold the towel")
    plan("grasp the towel", stamp_ns=0)
    follows(rig, "grasp the towel")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_instruction_ends_inference(rig: PolicyRig, plan: Given, text: str) -> None:
    plan("grasp the towel")
    rig.first_chunk()
    plan(text, id="plan:2")
    follows(rig, "")
    count = len(rig.backend.seen)
    rig.report(16)
    rig.observe()
    rig.ros.spin_until(lambda: rig.node._newest is not None, what="an observation kept")
    assert len(rig.backend.seen) == count
    assert rig.node._read_diagnostics()[1].startswith("no prompt")


def test_a_new_prompt_takes_effect_at_the_next_inference(ros: Graph) -> None:
    rig = PolicyRig(ros)
    assert rig.first_chunk().prompt == "fold the towel"
    rig.say("open the drawer")
    instructions = rig.node._instructions
    rig.ros.spin_until(lambda: instructions.text == "open the drawer", what="the prompt")
    rig.report(16)
    rig.observe_until(lambda: len(rig.chunks) == 2, "a second chunk")
    assert rig.chunks[1].prompt == "open the drawer"
    assert rig.backend.seen[-1].prompt == "open the drawer"


def test_the_prompt_parameter_can_change_while_running(rig: PolicyRig) -> None:
    rig.node.set_parameters([Parameter("prompt", value="stack the blocks")])
    assert rig.first_chunk().prompt == "stack the blocks"


def test_without_a_prompt_it_does_not_infer_and_says_so(ros: Graph) -> None:
    rig = PolicyRig(ros, prompt="")
    rig.observe()
    ros.spin_until(lambda: rig.node._newest is not None, what="the observation")
    assert rig.node._read_diagnostics()[1].startswith("no prompt")
    rig.say("fold the towel")
    rig.first_chunk()
    assert [seen.prompt for seen in rig.backend.seen] == ["fold the towel"]


def test_a_late_node_gets_the_latched_prompt(ros: Graph) -> None:
    ros.publisher(String, "prompt", LATCHED_QOS).publish(String(data="already said"))
    rig = PolicyRig(ros, prompt="")
    assert rig.first_chunk().prompt == "already said"
