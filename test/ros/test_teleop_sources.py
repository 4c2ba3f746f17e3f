"""The commands of teleoperation sources; the test takes the place of the executor.

Over 300 lines: the sources share one rig, and their bad parameters one table.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from harness import ROOT, Graph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from pi0_bringup.simulation.viperx import ARM_JOINTS
from pi0_bringup.teleoperation.gamepad_teleop import GamepadTeleop
from pi0_bringup.teleoperation.keyboard_teleop import KeyboardTeleop
from pi0_bringup.teleoperation.leader_arms import LeaderArmsNode
from pi0_bringup.teleoperation.scripted_expert import ScriptedExpert
from pi0_msgs.msg import ExecutorStatus, TeleopCommand
from pi0_ros.embodiment import load
from pi0_ros.nodes.managed import LATCHED_QOS, SENSOR_QOS

MS = 1_000_000
PERIOD_NS = 20 * MS
TROSSEN = load("bimanual_trossen")
JOINTS = (*ARM_JOINTS, "gripper")
CLOSED, OPEN = -0.6842, 0.3083  # a leader's handle, ALOHA's constants
LEADERS = ("leader_left/joint_states", "leader_right/joint_states")


class Rig:
    """One source on simulated time; the test is its clock, its operator and the executor."""

    def __init__(self, ros: Graph, factory: type, inputs: Any = (), **parameters: Any) -> None:
        self.ros = ros
        self.now_ns = 10_000 * MS
        self.state = ExecutorStatus.HOLDING
        self.follows = True
        self.command = TROSSEN.home
        self._clock = ros.publisher(Clock, "/clock", 1)
        self._status = ros.publisher(ExecutorStatus, "executor_status", LATCHED_QOS)
        self.inputs = {topic: ros.publisher(kind, topic, SENSOR_QOS) for kind, topic in inputs}
        self.sent: list[TeleopCommand] = []
        # The simplest executor: it reaches every setpoint at once.
        ros.node.create_subscription(TeleopCommand, "teleop_command", self._on_command, 100)
        common = {"embodiment": "bimanual_trossen", "use_sim_time": True}
        self.node = ros.add(factory, common | parameters)
        assert self.node.failure is None, self.node.failure
        publishers = (self._clock, self._status, *self.inputs.values())
        ros.spin_until(
            lambda: (
                all(p.get_subscription_count() for p in publishers)
                and self.node._commands.get_subscription_count()
            ),
            what="the source is connected",
        )
        self.tick()  # a deadman counts once it was not held

    def _on_command(self, message: TeleopCommand) -> None:
        self.sent.append(message)
        for name, value in zip(message.action_names, message.position, strict=True):
            self.command[TROSSEN.action_names.index(name)] = value

    def tick(self, count: int = 1, **messages: Any) -> list[TeleopCommand]:
        """Advance ``count`` times by 20 ms with these inputs; returns the commands sent."""
        before = len(self.sent)
        for _ in range(count):
            self.now_ns += PERIOD_NS
            for topic, message in messages.items():
                self.inputs[topic].publish(message)
            status = ExecutorStatus(embodiment=TROSSEN.name, state=self.state)
            if self.follows and self.sent and self.sent[-1].deadman:
                status.state = ExecutorStatus.TELEOPERATED
                status.source_id = self.sent[-1].source_id
            status.action_names = list(TROSSEN.action_names)
            status.command = self.command.tolist()
            self._status.publish(status)
            self.ros.spin_some()
            ticked = self.node._ticked_ns
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(self.now_ns, 1000 * MS)
            self._clock.publish(clock)
            self.ros.spin_until(
                lambda ticked=ticked: self.node._ticked_ns > ticked, what="a tick of the source"
            )
            self.ros.spin_some()
        return self.sent[before:]

    def quiet(self) -> bool:
        """Whether the last command was a release."""
        return bool(self.sent) and not self.sent[-1].deadman


def joy(held: bool, **axes: float) -> Joy:
    message = Joy(axes=[0.0] * 8, buttons=[0] * 11)
    message.buttons[5] = int(held)
    for name, value in axes.items():
        message.axes[int(name.removeprefix("a"))] = value
    return message


@pytest.fixture
def pad(ros: Graph) -> Rig:
    return Rig(ros, GamepadTeleop, [(Joy, "joy")])


def test_a_stick_moves_nothing_unless_the_deadman_is_held(pad: Rig) -> None:
    assert pad.tick(3, joy=joy(held=False, a1=1.0)) == []
    sent = pad.tick(3, joy=joy(held=True, a1=1.0))
    assert [m.deadman for m in sent] == [True] * 3
    waist = [m.position[0] for m in sent]
    np.testing.assert_allclose(np.diff(waist), 0.2 * np.pi * 0.02, rtol=1e-3)
    np.testing.assert_array_equal(sent[-1].position[1:], TROSSEN.home[1:])


def test_letting_go_is_said_once_and_so_is_the_silence_of_the_pad(pad: Rig) -> None:
    pad.tick(2, joy=joy(held=True, a1=1.0))
    assert [m.deadman for m in pad.tick(3, joy=joy(held=False, a1=1.0))] == [False]
    pad.tick(2, joy=joy(held=True))
    silent = pad.tick(20)
    assert [m.deadman for m in silent[-2:]] == [True, False]
    assert len(silent) < 20


def test_a_stopped_executor_ends_the_drive_until_the_deadman_was_let_go(pad: Rig) -> None:
    held = joy(held=True, a1=1.0)
    pad.tick(2, joy=held)
    pad.state, pad.follows = ExecutorStatus.STOPPED, False
    assert [m.deadman for m in pad.tick(2, joy=held)] == [False]
    assert "call ~/start" in pad.node.state
    pad.state, pad.follows = ExecutorStatus.HOLDING, True
    assert pad.tick(3, joy=held) == []
    pad.tick(1, joy=joy(held=False))
    assert pad.tick(1, joy=held)[0].deadman


def test_a_deadman_held_across_an_activation_has_to_be_let_go_first(pad: Rig) -> None:
    held = joy(held=True, a1=1.0)
    assert pad.tick(2, joy=held)[-1].deadman
    pad.node.trigger_deactivate()
    pad.ros.spin_some()
    pad.node.trigger_activate()
    before = len(pad.sent)
    pad.tick(5, joy=held)
    assert len(pad.sent) == before
    assert "press it again" in pad.node.state
    pad.tick(1, joy=joy(held=False))
    assert pad.tick(1, joy=held)[-1].deadman


def test_a_pad_that_was_silent_has_to_be_let_go_before_it_drives_again(pad: Rig) -> None:
    held = joy(held=True, a1=1.0)
    pad.tick(2, joy=held)
    pad.tick(20)
    assert pad.quiet()
    assert "the gamepad is silent for 0." in pad.node.state
    assert pad.tick(3, joy=held) == []
    pad.tick(1, joy=joy(held=False))
    assert pad.tick(1, joy=held)[-1].deadman


@pytest.mark.parametrize(
    ("axes", "buttons", "said"),
    [
        (8, 4, "deadman_button is 5 and the gamepad has 4 buttons"),
        (
            *(8, 6),
            "layer 'joints' binds number 7 (from 0) of the buttons and the gamepad has 6 buttons",
        ),
        (1, 11, "layer 'joints' binds number 1 (from 0) of the axes and the gamepad has 1 axes"),
    ],
)
def test_a_pad_with_too_little_is_said_and_drives_nothing(
    pad: Rig, monkeypatch: pytest.MonkeyPatch, axes: int, buttons: int, said: str
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(
        pad.node,
        "get_logger",
        lambda: SimpleNamespace(warning=lambda text, **_: warnings.append(text)),
    )
    released, held = Joy(axes=[0.0] * axes, buttons=[0] * buttons), Joy(axes=[0.0] * axes)
    held.buttons = [1] * buttons
    pad.tick(1, joy=released)
    assert pad.tick(3, joy=held) == []
    assert f"{said}: not driving" in warnings


def test_an_executor_that_does_not_follow_ends_the_drive(pad: Rig) -> None:
    pad.follows = False
    sent = pad.tick(40, joy=joy(held=True, a1=1.0))
    assert not sent[-1].deadman
    assert len(sent) < 35
    assert "does not follow" in pad.node.state


def test_a_hand_is_moved_by_the_shipped_gamepad_file(ros: Graph) -> None:
    import yaml

    text = (ROOT / "pi0_bringup/config/gamepad.yaml").read_text()
    given = yaml.safe_load(text)["gamepad_teleop"]["ros__parameters"]
    rig = Rig(ros, GamepadTeleop, [(Joy, "joy")], **flat(given))
    before = rig.command.copy()
    rig.tick(10, joy=joy(held=True, a4=1.0))  # the left hand goes up
    moved = rig.command - before
    assert np.abs(moved[:6]).max() > 0.02
    assert not moved[6:].any()


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        nested = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        found |= {f"{prefix}{key}": value} if nested is None else nested
    return found


def leader(handle: float, waist: float = 0.0) -> JointState:
    pose = [waist, *TROSSEN.home[1:6].tolist(), handle]
    return JointState(name=list(JOINTS), position=pose)


@pytest.fixture
def leaders(ros: Graph) -> Rig:
    inputs = [(JointState, topic) for topic in LEADERS] + [(Bool, "deadman")]
    return Rig(ros, LeaderArmsNode, inputs)


def both(handle: float, waist: float = 0.0) -> dict[str, JointState]:
    return dict.fromkeys(LEADERS, leader(handle, waist))


def test_closing_both_handles_starts_a_slow_approach_and_then_the_robot_follows(
    leaders: Rig,
) -> None:
    leaders.tick(5, **both(OPEN, waist=0.2))
    assert leaders.sent == []
    leaders.tick(20, **both(CLOSED, waist=0.2))
    names = list(leaders.sent[0].action_names)
    waist = names.index("left_waist")
    assert abs(leaders.sent[0].position[waist]) < 1e-6  # where the robot is, not the leader
    leaders.tick(60, **both(CLOSED, waist=0.2))
    way = np.array([m.position[waist] for m in leaders.sent])
    assert way[-1] == pytest.approx(0.2, abs=1e-3)
    assert np.abs(np.diff(way)).max() <= 0.16 * np.pi * 0.02
    leaders.tick(3, **both(OPEN, waist=0.21))
    assert leaders.sent[-1].deadman
    assert leaders.sent[-1].position[names.index("left_gripper")] > 0.9


def test_a_silent_leader_or_a_release_ends_the_drive_and_closed_handles_do_not_resume_it(
    leaders: Rig,
) -> None:
    leaders.tick(2, **both(OPEN))
    leaders.tick(20, **both(CLOSED))
    assert leaders.sent[-1].deadman
    leaders.tick(15)
    assert leaders.quiet()
    assert "stopped" in leaders.node.state or "released" in leaders.node.state
    before = len(leaders.sent)
    leaders.tick(30, **both(CLOSED))
    assert len(leaders.sent) == before
    leaders.tick(2, **both(OPEN))
    leaders.tick(20, **both(CLOSED))
    assert leaders.sent[-1].deadman
    assert leaders.ros.call(Trigger, "leader_arms/release", Trigger.Request()).success
    leaders.tick(2, **both(CLOSED))
    assert leaders.quiet()


def test_handles_that_are_closed_when_the_leaders_come_up_start_nothing(leaders: Rig) -> None:
    leaders.tick(3)  # nobody was heard: no handle was seen open
    assert leaders.tick(30, **both(CLOSED)) == []
    leaders.tick(2, **both(OPEN))
    leaders.tick(20)  # the leaders' driver is gone; the handles are closed, and it starts again
    assert leaders.tick(30, **both(CLOSED)) == []
    leaders.tick(2, **both(OPEN))
    assert leaders.tick(20, **both(CLOSED))[-1].deadman


def test_a_leader_far_from_the_robot_starts_nothing(leaders: Rig) -> None:
    leaders.tick(2, **both(OPEN, waist=1.4))
    leaders.tick(20, **both(CLOSED, waist=1.4))
    assert not any(m.deadman for m in leaders.sent)


@pytest.mark.parametrize(
    ("factory", "parameters", "complaint"),
    [
        (
            GamepadTeleop,
            {"layers": ["arm"], "arm.axes": ["elbow"]},
            "layer 'arm': unknown jog target",
        ),
        (GamepadTeleop, {"end_effectors": ["left"]}, "end_effectors are left and model is empty"),
        (GamepadTeleop, {"dead_zone": 1.0}, "dead_zone is 1"),
        (GamepadTeleop, {"rate_hz": -1.0}, "rate_hz is -1"),
        (LeaderArmsNode, {"embodiment": "ur5e"}, "names no leader arms"),
        (LeaderArmsNode, {"deadman": "foot"}, "deadman is 'foot'"),
        (KeyboardTeleop, {}, "needs a terminal"),
        (
            KeyboardTeleop,
            {"layers": ["arm"], "arm.keys": ["Up"], "arm.targets": ["selected"]},
            "arm.keys: no key is called 'Up'; give a single character or one of up, down",
        ),
        (ScriptedExpert, {"embodiment": "ur5e"}, "simulated ViperX"),
    ],
)
def test_refuses_a_bad_parameter(
    ros: Graph, factory: type, parameters: dict[str, Any], complaint: str
) -> None:
    node = ros.add(factory, {"embodiment": "bimanual_trossen"} | parameters)
    assert complaint in str(node.failure)
