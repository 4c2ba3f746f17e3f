"""The lifecycle every node shares."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from harness import Graph
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger

from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, ManagedNode, ParameterTypeError
from pi0_ros.nodes.process import serve


class Recorder(ManagedNode):
    """Notes every transition; refuses to configure when told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        self.declare_parameter("width", 1)
        self.steps: list[str] = []

    def setup(self) -> None:
        self.steps.append("setup")
        self.add_cleanup(self.steps.append, "cleanup")
        width = self.get_parameter("width").value
        if width < 1:
            raise ValueError(f"width is {width}; give a whole number of at least 1")
        self.said = self.create_publisher(String, "said", LATCHED_QOS)

    def start(self) -> None:
        self.steps.append("start")

    def stop(self) -> None:
        self.steps.append("stop")
        self.said.publish(String(data="last words"))


def test_autostart_configures_and_activates(ros: Graph) -> None:
    node = ros.add(Recorder)
    assert node.steps == ["setup", "start"]
    assert node.failure is None


def test_a_bad_parameter_fails_configure_with_its_value_and_the_fix(ros: Graph) -> None:
    node = ros.add(Recorder, {"width": 0})
    assert node.failure == "width is 0; give a whole number of at least 1"
    assert node.steps == ["setup", "cleanup"]


def test_a_refused_node_can_be_configured_again(ros: Graph) -> None:
    from rclpy.parameter import Parameter

    node = ros.add(Recorder, {"width": 0})
    node.set_parameters([Parameter("width", value=3)])
    node.trigger_configure()
    assert node.failure is None


class HalfWay(ManagedNode):
    """Creates one entity of each kind in setup and in start, then fails where it is told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__("half_way", **options)
        self.declare_parameter("fails_in", "")
        self.cleaned: list[str] = []

    def setup(self) -> None:
        self._create("setup")

    def start(self) -> None:
        self._create("start")

    def _create(self, phase: str) -> None:
        self.add_cleanup(self.cleaned.append, f"first of {phase}")
        self.create_publisher(String, f"{phase}_said", COMMAND_QOS)
        self.create_subscription(String, f"{phase}_heard", print, COMMAND_QOS)
        self.create_service(Trigger, f"~/{phase}", print)
        self.create_timer(60.0, print)
        self.add_cleanup(self.cleaned.append, f"last of {phase}")
        if self.get_parameter("fails_in").value == phase:
            raise ValueError(f"{phase} fails")

    def entities(self) -> list[int]:
        kinds = self.publishers, self.subscriptions, self.services, self.timers
        return [len(list(kind)) for kind in kinds]


SETUP, START = ["last of setup", "first of setup"], ["last of start", "first of start"]


@pytest.mark.parametrize(("phase", "cleaned"), [("setup", SETUP), ("start", START)])
def test_a_transition_that_fails_half_way_leaves_nothing_of_it(
    ros: Graph, phase: str, cleaned: list[str]
) -> None:
    node = ros.add(HalfWay, {"fails_in": phase}, start=False)
    before = node.entities()
    node.trigger_configure()
    if phase == "start":
        before = node.entities()
        node.trigger_activate()
    assert node.failure == f"{phase} fails"
    assert node.entities() == before
    assert node.cleaned == cleaned


def test_what_a_node_creates_is_destroyed_last_first_with_the_phase_that_created_it(
    ros: Graph,
) -> None:
    node = ros.add(HalfWay, start=False)
    bare = node.entities()
    node.trigger_configure()
    configured = node.entities()
    assert configured == [count + 1 for count in bare]
    for _ in range(2):
        node.trigger_activate()
        assert node.is_active
        assert node.entities() == [count + 2 for count in bare]
        node.trigger_deactivate()
        assert node.entities() == configured
    node.trigger_cleanup()
    assert node.entities() == bare
    assert node.cleaned == [*START, *START, *SETUP]


def test_the_other_cleanups_are_done_after_one_that_fails(ros: Graph) -> None:
    node = ros.add(Recorder)
    node._configured.callback(int, "no number")
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert node.steps[-1] == "cleanup"
    assert "no number" in node.failure


def test_shutdown_while_active_reaches_the_safe_stop_first(ros: Graph) -> None:
    node = ros.add(Recorder)
    heard = ros.collect(String, "said", LATCHED_QOS)
    node.trigger_shutdown()
    ros.spin_until(lambda: heard, what="the last message sent on the way down")
    assert node.steps == ["setup", "start", "stop", "cleanup"]


def test_a_callback_that_raises_ends_in_the_shutdown_and_not_in_a_traceback(ros: Graph) -> None:
    node = ros.add(Recorder)

    def fail() -> None:
        raise ZeroDivisionError("the callback's own")

    node.create_timer(0.001, fail)
    assert serve(node, ros.executor, Future()) == 1
    node.shut_down()
    assert node.steps == ["setup", "start", "stop", "cleanup"]


def test_two_graphs_do_not_share_a_domain(ros: Graph) -> None:
    from harness import claim_domain

    domain, claim = claim_domain()
    claim.close()
    assert domain != ros.domain_id


def test_commands_keep_only_the_newest(ros: Graph) -> None:
    assert COMMAND_QOS.depth == 1


def test_a_parameter_that_no_node_reads_fails_configure(ros: Graph) -> None:
    node = ros.add(Recorder, {"widht": 2})
    assert node.failure is not None
    assert node.failure.startswith("no parameter is called widht; recorder has autostart")
    assert "width" in node.failure


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"width": 1.5}, "parameter width is 1.5 (double) but must be of type integer"),
        ({"autostart": "no"}, "parameter autostart is 'no' (string) but must be of type bool"),
        ({"use_sim_time": 1}, "parameter use_sim_time is 1 (integer) but must be of type bool"),
    ],
)
def test_a_parameter_of_another_type_is_refused_with_its_value_and_both_types(
    ros: Graph, parameters: dict[str, Any], line: str
) -> None:
    with pytest.raises(ParameterTypeError) as refused:
        ros.add(Recorder, parameters)
    assert str(refused.value) == line


def test_a_process_given_a_parameter_of_another_type_says_so_in_one_line_and_ends_with_1(
    ros: Graph,
) -> None:
    child = ros.process(
        "pi0_ros.nodes.chunk_executor.node", {"splice_s": 1}, stderr=subprocess.PIPE, text=True
    )
    _, said = child.communicate(timeout=60.0)
    assert child.returncode == 1
    (line,) = said.splitlines()
    assert line.endswith(
        "cannot start: parameter splice_s is 1 (integer) but must be of type double; write 1.0"
    )
