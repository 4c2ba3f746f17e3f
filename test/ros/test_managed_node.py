"""The lifecycle every node shares."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from harness import Graph
from rclpy.task import Future
from std_msgs.msg import String

from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, ManagedNode, ParameterTypeError, serve


class Recorder(ManagedNode):
    """Notes every transition; refuses to configure when told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        self.declare_parameter("width", 1)
        self.steps: list[str] = []

    def setup(self) -> None:
        self.steps.append("setup")
        width = self.get_parameter("width").value
        if width < 1:
            raise ValueError(f"width is {width}; give a whole number of at least 1")
        self.said = self.create_publisher(String, "said", LATCHED_QOS)

    def start(self) -> None:
        self.steps.append("start")

    def stop(self) -> None:
        self.steps.append("stop")
        self.said.publish(String(data="last words"))

    def teardown(self) -> None:
        self.steps.append("teardown")


def test_autostart_configures_and_activates(ros: Graph) -> None:
    node = ros.add(Recorder)
    assert node.steps == ["setup", "start"]
    assert node.failure is None


def test_a_bad_parameter_fails_configure_with_its_value_and_the_fix(ros: Graph) -> None:
    node = ros.add(Recorder, {"width": 0})
    assert node.failure == "width is 0; give a whole number of at least 1"
    assert node.steps == ["setup", "teardown"]


def test_a_refused_node_can_be_configured_again(ros: Graph) -> None:
    from rclpy.parameter import Parameter

    node = ros.add(Recorder, {"width": 0})
    node.set_parameters([Parameter("width", value=3)])
    node.trigger_configure()
    assert node.failure is None


def test_shutdown_while_active_reaches_the_safe_stop_first(ros: Graph) -> None:
    node = ros.add(Recorder)
    heard = ros.collect(String, "said", LATCHED_QOS)
    node.trigger_shutdown()
    ros.spin_until(lambda: heard, what="the last message sent on the way down")
    assert node.steps == ["setup", "start", "stop", "teardown"]


def test_a_callback_that_raises_ends_in_the_shutdown_and_not_in_a_traceback(ros: Graph) -> None:
    node = ros.add(Recorder)

    def fail() -> None:
        raise ZeroDivisionError("the callback's own")

    node.create_timer(0.001, fail)
    assert serve(node, ros.executor, Future()) == 1
    node.shut_down()
    assert node.steps == ["setup", "start", "stop", "teardown"]


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
        ({"width": 1.5}, "parameter width is 1.5 (double) and has to be of type integer"),
        ({"autostart": "no"}, "parameter autostart is 'no' (string) and has to be of type bool"),
        ({"use_sim_time": 1}, "parameter use_sim_time is 1 (integer) and has to be of type bool"),
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
        "cannot start: parameter splice_s is 1 (integer) and has to be of type double; write 1.0"
    )
