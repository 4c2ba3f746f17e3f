"""The figures of a demo, and its problems where the loop did not close."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from pi0_bringup.demo.recording import Plan, Recording
from pi0_bringup.demo.summary import Spread, summarise
from pi0_bringup.demo.table import rows
from pi0_ros.embodiment import load
from pi0_ros.nodes.executor_status import ExecutorView, LimitHits

ROBOT = load("ur5e")
HOME = ROBOT.home
STATUS = ExecutorView(
    ticks=100,
    missed_ticks=1,
    chunks_accepted=3,
    chunks_executed=3,
    chunks_refused=0,
    underruns=0,
    last_refusal="",
    limit_hits=(LimitHits(1, 0, 3, 0), LimitHits(0, 2, 0, 5)),
    lateness_p50_ms=0.1,
    lateness_p99_ms=0.5,
    lateness_max_ms=1.0,
    cpu_share=0.05,
)


def closed_loop() -> Recording:
    """Two seconds in which everything went well: three chunks, moving joints, two cameras."""
    recording = Recording(duration_s=2.0)
    picture = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    for tick in range(100):
        time_s = tick * 0.02
        recording.ticks.time_s.append(time_s)
        recording.ticks.executing.append(True)
        recording.ticks.chunk.append(int(time_s / 0.8))
        recording.ticks.command.append(HOME + 0.01 * tick)
    for name in ROBOT.state_names:
        recording.measured[name] = [(0.0, 0.0), (1.0, 0.5)]
    recording.frames = [(0.0, picture), (1.0, picture)]
    recording.observation_age_s = [0.010, 0.030]
    recording.observation_skew_s = [0.0, 0.002]
    recording.inference_ms = [40.0, 60.0]
    recording.last = STATUS
    recording.wall_s = 4.0
    return recording


def problems(recording: Recording) -> str:
    return "; ".join(summarise(recording, ROBOT).problems)


def with_counters(**changes: Any) -> Recording:
    recording = closed_loop()
    recording.last = dataclasses.replace(STATUS, **changes)
    return recording


def test_a_closed_loop_has_no_problems() -> None:
    assert problems(closed_loop()) == ""


def test_figures_are_medians_and_percentiles_in_milliseconds() -> None:
    summary = summarise(closed_loop(), ROBOT)
    assert summary.inference_ms == Spread(p50=50.0, p95=pytest.approx(59.0))
    assert summary.observation_age_ms == Spread(p50=pytest.approx(20.0), p95=pytest.approx(29.0))
    assert summary.real_time_factor == pytest.approx(0.495)
    assert (summary.position_limit_hits, summary.velocity_limit_hits) == (1, 2)


def test_the_following_error_is_relative_to_the_range_of_each_joint() -> None:
    recording = closed_loop()
    span = ROBOT.limits.upper - ROBOT.limits.lower
    for sequence in range(3):
        actions = np.tile(HOME, (50, 1))
        recording.plans[sequence] = Plan(time_s=0.0, step_s=0.05, actions=actions)
    recording.ticks.command = [HOME + 0.1 * span for _ in recording.ticks.time_s]
    assert summarise(recording, ROBOT).following_error.p50 == pytest.approx(0.1)


def test_a_plan_is_a_straight_line_between_steps_and_holds_its_ends() -> None:
    plan = Plan(time_s=1.0, step_s=0.5, actions=np.array([[0.0], [2.0]]))
    assert [float(plan.at(t)[0]) for t in (0.0, 1.0, 1.25, 1.5, 9.0)] == [0, 0, 1, 2, 2]


def test_the_table_names_every_figure_asked_for() -> None:
    labels = " ".join(label for label, _ in rows(summarise(closed_loop(), ROBOT)))
    for figure in ("chunks executed", "inference", "age", "skew", "ticks", "limit hits", "CPU"):
        assert figure in labels


def test_the_table_counts_the_limit_hits_of_every_kind() -> None:
    lines = dict(rows(summarise(closed_loop(), ROBOT)))
    assert lines["limit hits"] == "1 position, 2 velocity, 3 acceleration, 5 jerk"


def test_the_summary_can_be_written_as_json() -> None:
    assert json.dumps(dataclasses.asdict(summarise(closed_loop(), ROBOT)))


def test_nothing_executed_is_an_error() -> None:
    with pytest.raises(ValueError, match="never executed a step"):
        summarise(Recording(duration_s=1.0), ROBOT)


def test_holding_most_of_the_time_is_a_problem() -> None:
    recording = closed_loop()
    recording.ticks.executing = [tick < 40 for tick in range(100)]
    assert "followed a chunk in only 40% of its ticks" in problems(recording)


def test_one_chunk_for_ever_is_a_problem() -> None:
    recording = closed_loop()
    recording.ticks.time_s = [tick * 0.2 for tick in range(100)]
    recording.ticks.chunk = [0] * 100
    assert "only 1 chunks were executed in 19.8 s" in problems(recording)


def test_a_refused_chunk_is_a_problem_with_its_reason() -> None:
    recording = with_counters(chunks_refused=2, last_refusal="row 3 is not finite")
    assert "2 chunks were refused, the last one because row 3 is not finite" in problems(recording)


def test_a_command_that_is_not_finite_is_a_problem() -> None:
    recording = closed_loop()
    recording.ticks.command[7] = np.full_like(HOME, np.nan)
    assert problems(recording) == "a command was not finite"


def test_commands_far_from_their_chunk_are_a_problem() -> None:
    recording = closed_loop()
    away = HOME + 0.3 * (ROBOT.limits.upper - ROBOT.limits.lower)
    for sequence in range(3):
        recording.plans[sequence] = Plan(time_s=0.0, step_s=0.05, actions=np.tile(away, (50, 1)))
    recording.ticks.command = [HOME for _ in recording.ticks.time_s]
    assert problems(recording) == (
        "the command was up to 30% of a joint's range away from its chunk (p95)"
    )


def test_joints_that_do_not_move_are_a_problem() -> None:
    recording = closed_loop()
    recording.measured = {name: [(0.0, 0.1), (1.0, 0.1)] for name in ROBOT.state_names}
    assert "no joint moved" in problems(recording)


def test_a_joint_that_is_never_measured_is_named() -> None:
    recording = closed_loop()
    del recording.measured[ROBOT.state_names[2]]
    assert problems(recording) == f"never measured: {ROBOT.state_names[2]}"


def test_a_camera_of_a_single_colour_is_named() -> None:
    recording = closed_loop()
    black = recording.frames[-1][1].copy()
    black[1] = 0
    recording.frames.append((1.5, black))
    assert problems(recording) == (
        f"the picture of camera {ROBOT.cameras[1].name} is a single colour"
    )


def test_no_observation_is_a_problem() -> None:
    recording = closed_loop()
    recording.frames = []
    assert "no observation arrived" in problems(recording)
