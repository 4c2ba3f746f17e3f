"""The audit finds what a limiter would have to prevent, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from _audit import StreamAudit

from pi0_ros.control.limits import Limiter
from pi0_ros.embodiment import LimitArrays, load

DT = 0.1


def one_joint() -> LimitArrays:
    bounds = {"lower": -1.0, "upper": 1.0, "velocity": 2.0, "acceleration": 10.0, "jerk": 150.0}
    return LimitArrays(**{name: np.array([value]) for name, value in bounds.items()})


def audited(values: list[float], first_tick: int = 1) -> StreamAudit:
    audit = StreamAudit(one_joint(), DT)
    for k, value in enumerate(values):
        audit.add(first_tick + k, np.array([value]))
    return audit


def test_a_stream_within_every_limit_has_no_violation() -> None:
    audit = audited([0.0, 0.05, 0.15, 0.25, 0.3, 0.3])
    assert not audit.violations
    assert audit.ticks == 6
    assert audit.worst[1, 0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.9, 0.95, 1.02], "position"),
        ([0.0, 0.1, 0.29, 0.495], "velocity"),
        ([0.0, 0.0, 0.11], "acceleration"),
        ([0.0, 0.0, 0.09, 0.09], "jerk"),
    ],
)
def test_names_the_limit_that_was_exceeded(values: list[float], kind: str) -> None:
    assert set(audited(values).violations) == {(kind, 0)}


def test_a_robot_found_outside_its_bounds_may_come_back_and_not_go_on() -> None:
    assert not audited([1.3, 1.25, 1.15]).violations
    assert audited([1.3, 1.31]).violations == {("position", 0): 1}


def test_no_difference_is_taken_across_a_tick_that_was_not_received() -> None:
    audit = StreamAudit(one_joint(), DT)
    audit.add(1, np.array([0.0]))
    audit.add(3, np.array([0.9]))
    audit.add(4, np.array([0.9]))
    assert not audit.violations
    assert audit.missing == 1


def test_counting_anew_and_waiting_are_no_gap_and_no_motion() -> None:
    audit = StreamAudit(one_joint(), DT)
    audit.add(7, np.array([0.0]))
    audit.add(7, np.array([0.0]))
    audit.add(1, np.array([np.nan]))
    audit.add(2, np.array([0.9]))
    assert not audit.violations
    assert audit.missing == 0
    assert audit.ticks == 2


def test_what_begins_anew_is_not_compared_with_what_was_before() -> None:
    audit = audited([0.0, 0.1])
    audit.start_over()
    audit.add(3, np.array([0.9]))
    assert not audit.violations


def test_the_limiter_passes_the_audit_whatever_it_is_told() -> None:
    robot = load("mobile_fibocom")
    period_s = 1.0 / robot.rates.control_hz
    random = np.random.default_rng(0)
    limiter = Limiter(robot.limits, period_s, robot.home)
    audit = StreamAudit(robot.limits, period_s)
    at_rest = np.zeros(len(robot.action))
    for tick in range(300):
        target = robot.home + random.uniform(-5.0, 5.0, len(robot.action))
        limiter.track(target, at_rest)
        audit.add(tick, limiter.position)
    assert not audit.violations
    assert audit.worst[2].max() == pytest.approx(1.0)
