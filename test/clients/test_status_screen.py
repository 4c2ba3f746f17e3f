"""The screen of `pi0 status`: complete without colour, whole in small terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from suite_reports import control, healthy, report

from pi0_ros.clients.status.model import Level, Snapshot
from pi0_ros.clients.status.screen import draw
from pi0_ros.clients.status.suite_monitor import SuiteMonitor
from pi0_ros.control import ExecutorState
from pi0_ros.embodiment import load
from pi0_ros.nodes.executor_status import LimitHits


def lines(snapshot: Snapshot, width: int = 100, height: int | None = None) -> list[str]:
    """The screen as text, without any colour."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(draw(snapshot, width, height))
    return capture.get().splitlines()


def test_says_without_colour_what_the_robot_does_and_who_complains() -> None:
    monitor = healthy(100.0)
    monitor.report(report("policy", Level.WARN, "the checkpoint is untrained"), 100.0)
    text = "\n".join(lines(monitor.snapshot(100.0, None)))
    assert text.startswith(" WARN  π0 small_robot")
    assert "EXECUTING  the policy drives" in text
    assert "step 9 of 50" in text
    assert "WARN   policy          the checkpoint is untrained" in text
    assert "p50 0.12 p99 0.50 max 123" in text


def test_says_why_the_robot_stands() -> None:
    monitor = healthy(100.0)
    monitor.control(control(state=ExecutorState.HOLDING, reason="chunk 7 is exhausted"), 100.0)
    text = "\n".join(lines(monitor.snapshot(100.0, None)))
    assert "HOLDING  the robot stands: chunk 7 is exhausted" in text


def test_does_not_claim_what_nobody_says_any_more() -> None:
    text = "\n".join(lines(healthy(100.0).snapshot(109.0, None)))
    assert "unknown: no status for 9 s, the last was EXECUTING" in text
    assert "the policy drives" not in text


def test_a_slow_stream_and_a_silent_one_are_marked_in_words() -> None:
    monitor = healthy(100.0)
    found = lines(monitor.snapshot(100.0, None))
    assert any("left/joint_states" in line and "49/100!" in line for line in found)


def test_nothing_heard_is_two_lines() -> None:
    found = lines(SuiteMonitor(domain_id=42, namespace="/").snapshot(1.0, None))
    assert len(found) == 2
    assert "nothing heard" in found[1]


@pytest.mark.parametrize(("width", "height"), [(100, 30), (96, 24), (80, 24), (60, 40), (40, 12)])
def test_never_wider_than_the_terminal_and_complaints_are_above_the_fold(
    width: int, height: int
) -> None:
    robot = load("mobile_fibocom")
    monitor = healthy(100.0)
    monitor.report(report("policy", Level.ERROR, "inference failed"), 100.0)
    count = len(robot.action)
    monitor.control(
        control(
            action_names=robot.action_names,
            command=tuple(robot.home),
            command_velocity=(0.0,) * count,
            limit_hits=(LimitHits(0, 12, 123_456, 7),) * count,
            last_refusal="chunk 3 refused: " + "horizon is 3 " * 20,
        ),
        100.0,
    )
    found = lines(monitor.snapshot(100.0, robot), width, height)
    assert max(map(len, found)) <= width
    assert any(line.startswith("ERROR  policy") for line in found[:height])


def test_all_17_joints_of_a_mobile_robot_fit_on_100_by_30() -> None:
    robot = load("mobile_fibocom")
    monitor = healthy(100.0)
    monitor.control(control(action_names=robot.action_names, command=tuple(robot.home)), 100.0)
    found = lines(monitor.snapshot(100.0, robot), 100, 30)
    assert len(found) <= 30
    assert all(any(name in line for line in found) for name in robot.action_names)
