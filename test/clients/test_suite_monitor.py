"""What `pi0 status` makes of what it hears, without a graph."""

from __future__ import annotations

import json

import pytest
from suite_reports import POLICY, control, healthy, report

from pi0_ros.clients.status.model import Level, Node, Snapshot
from pi0_ros.clients.status.suite_monitor import SuiteMonitor
from pi0_ros.control import ExecutorState
from pi0_ros.embodiment import load
from pi0_ros.nodes.executor_status import LimitHits


def node(snapshot: Snapshot, name: str) -> Node:
    return next(line for line in snapshot.nodes if line.name == name)


def test_a_suite_in_which_nobody_complains_is_ok() -> None:
    snapshot = healthy(100.0).snapshot(100.0, None)
    assert snapshot.level is Level.OK
    assert snapshot.verdict == "OK"
    assert [line.name for line in snapshot.nodes] == ["camera_sync", "policy", "chunk_executor"]
    assert snapshot.policy is not None and snapshot.policy.number("latency_p95_ms") == 60.0
    assert snapshot.loop is not None and snapshot.loop.tick_hz == pytest.approx(50.0)
    assert snapshot.loop.tracking_error == 0.013
    assert [joint.off for joint in snapshot.joints] == [-0.013, None]


def test_the_verdict_is_the_worst_complaint() -> None:
    monitor = healthy(100.0)
    monitor.report(report("policy", Level.WARN, "untrained", POLICY), 100.0)
    monitor.report(report("camera_sync", Level.ERROR, "no sets"), 100.0)
    snapshot = monitor.snapshot(100.0, None)
    assert (snapshot.level, snapshot.verdict) == (Level.ERROR, "camera_sync: no sets")


def test_a_node_that_stops_speaking_is_silent_and_its_last_words_are_kept() -> None:
    monitor = healthy(100.0)
    monitor.report(report("camera_sync"), 112.0)
    snapshot = monitor.snapshot(112.0, None)
    assert node(snapshot, "policy").level is Level.SILENT
    assert node(snapshot, "policy").said == "last heard 12 s ago: fine"
    assert snapshot.policy is None
    assert node(snapshot, "camera_sync").level is Level.OK


def test_a_node_that_never_spoke_is_listed_and_said_to_start_if_it_is_there() -> None:
    monitor = SuiteMonitor(domain_id=0, namespace="/cell")
    monitor.report(report("cell/camera_sync"), 1.0)
    monitor.present(["/cell/policy", "/cell/pi0_status"])
    snapshot = monitor.snapshot(1.0, None)
    assert node(snapshot, "policy").said == "starting: no diagnostics yet"
    assert node(snapshot, "chunk_executor").said == "never heard"
    assert not monitor.complete()


def test_an_executor_that_reports_and_does_not_tick_is_an_error() -> None:
    monitor = healthy(100.0)
    monitor.report(report("chunk_executor"), 105.0)
    snapshot = monitor.snapshot(105.0, None)
    assert node(snapshot, "chunk_executor").level is Level.ERROR
    assert node(snapshot, "chunk_executor").said.startswith("no tick for 5 s")
    assert snapshot.loop is not None and snapshot.loop.tick_hz is None


def test_an_inactive_executor_need_not_tick() -> None:
    monitor = healthy(100.0)
    monitor.control(control(state=ExecutorState.INACTIVE, reason="deactivated"), 100.0)
    monitor.report(report("chunk_executor", message="inactive"), 105.0)
    assert node(monitor.snapshot(105.0, None), "chunk_executor").level is Level.OK


def test_nothing_heard_asks_for_the_suite_and_names_the_domain() -> None:
    snapshot = SuiteMonitor(domain_id=42, namespace="/cell").snapshot(1.0, None)
    assert not snapshot.heard
    assert "is the suite running" in snapshot.verdict
    assert "ROS_DOMAIN_ID is 42" in snapshot.verdict
    assert "/cell" in snapshot.verdict


def test_another_suite_is_not_mixed_in_and_a_driver_is_heard_when_it_complains() -> None:
    monitor = healthy(100.0)
    monitor.report(report("other/policy", Level.ERROR), 100.0)
    monitor.report(report("controller_manager"), 100.0)
    monitor.report(report("arm_driver", Level.WARN, "hot"), 100.0)
    names = [line.name for line in monitor.snapshot(100.0, None).nodes]
    assert names == ["camera_sync", "policy", "chunk_executor", "arm_driver: task"]


def test_streams_tell_slow_and_silent_from_good() -> None:
    monitor = healthy(100.0)
    top, joints = monitor.snapshot(100.0, None).streams
    assert (top.name, top.level) == ("top", Level.OK)
    assert (joints.name, joints.level) == ("left/joint_states", Level.WARN)
    assert joints.skew_ms is None
    silent = {"top.expected_hz": "30", "top.rate_hz": "0.0", "top.age_ms": "never"}
    monitor.report(report("camera_sync", Level.ERROR, "no sets", silent), 100.0)
    assert monitor.snapshot(100.0, None).streams[0].level is Level.SILENT


def test_joints_have_their_limits_where_the_robot_is_known() -> None:
    robot = load("ur5e")
    monitor = SuiteMonitor(domain_id=0, namespace="/")
    monitor.control(control(action_names=robot.action_names, command=tuple(robot.home)), 1.0)
    elbow = monitor.snapshot(1.0, robot).joints[2]
    assert (elbow.name, elbow.unit, elbow.upper) == ("elbow", "rad", 3.1416)
    assert monitor.snapshot(1.0, None).joints[2].upper is None


def test_what_rises_is_told_from_what_was_counted_long_ago() -> None:
    monitor = healthy(100.0)
    hits = (LimitHits(acceleration=13), LimitHits(position=1))
    monitor.control(control(ticks=1025, limit_hits=hits, underruns=1), 100.5)
    snapshot = monitor.snapshot(100.5, None)
    assert snapshot.joints[0].recent == (False, False, True, False)
    assert snapshot.joints[1].recent == (False, False, False, False)
    assert snapshot.loop is not None and snapshot.loop.rising == ("underruns",)


def test_a_new_activation_starts_the_counts_over() -> None:
    monitor = healthy(100.0)
    monitor.control(control(ticks=1), 100.1)
    assert monitor.snapshot(100.1, None).loop.tick_hz is None  # type: ignore[union-attr]


def test_json_is_one_line_with_null_for_what_is_unknown() -> None:
    monitor = healthy(100.0)
    monitor.control(control(state=ExecutorState.WAITING, command=(float("nan"),) * 2), 100.0)
    line = monitor.snapshot(100.0, None).to_json()
    assert "\n" not in line
    found = json.loads(line)
    assert found["level"] == "OK"
    assert found["joints"][0]["command"] is None
    assert found["control"]["state"] == "WAITING"
