"""The admission of teleoperation: which source drives, and which commands are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arm_with_base import embodiment

from pi0_ros.control import RefusalRule, TeleopAdmission, TeleopCommand, Tuning

NOW_NS = 1_000_000_000
MS = 1_000_000


def command(**changes: Any) -> TeleopCommand:
    values: dict[str, Any] = {
        "stamp_ns": NOW_NS,
        "source_id": "leader",
        "deadman": True,
        "names": ("shoulder", "elbow"),
        "position": (0.1, 0.2),
        "velocity": (),
        **changes,
    }
    for name in ("position", "velocity"):
        values[name] = np.array(values[name], dtype=np.float64)
    return TeleopCommand(**values)


@pytest.fixture
def admission() -> TeleopAdmission:
    return TeleopAdmission(embodiment(), Tuning())


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"names": ("wing", "elbow")}, RefusalRule.NAMES, "unknown 'wing'"),
        ({"names": ("elbow", "elbow")}, RefusalRule.NAMES, "twice"),
        ({"names": (), "position": ()}, RefusalRule.NAMES, "none"),
        ({"position": (0.1,)}, RefusalRule.LENGTH, "1 positions and 0 velocities for 2 names"),
        ({"velocity": (0.1,)}, RefusalRule.LENGTH, "2 positions and 1 velocities for 2 names"),
        ({"position": (0.1, np.nan)}, RefusalRule.FINITE, "position of 'elbow' is nan"),
        ({"velocity": (np.inf, 0.0)}, RefusalRule.FINITE, "velocity of 'shoulder' is inf"),
        ({"stamp_ns": NOW_NS - 300 * MS}, RefusalRule.STALE, "0.300 s old; at most 0.25 s"),
        ({"stamp_ns": NOW_NS + 600 * MS}, RefusalRule.FUTURE, "0.600 s ahead"),
        ({"source_id": ""}, RefusalRule.SOURCE, "without a source_id"),
    ],
)
def test_refuses_with_the_offending_value(admission, changes, rule, words):
    refusal = admission.admit(command(**changes), NOW_NS)
    assert refusal.rule is rule
    assert words in refusal.reason
    assert admission.holder is None
    assert admission.refused[rule] == 1


def test_the_first_to_press_holds_and_a_second_source_is_refused_by_id(admission):
    assert admission.admit(command(), NOW_NS) is None
    refusal = admission.admit(command(source_id="spacemouse"), NOW_NS)
    assert refusal.reason == "teleoperation by 'spacemouse' while 'leader' holds the deadman"
    assert admission.holder == "leader"


def test_a_second_source_has_to_press_again_after_the_first_let_go(admission):
    admission.admit(command(), NOW_NS)
    admission.admit(command(source_id="spacemouse"), NOW_NS)
    assert admission.release("leader")
    assert admission.admit(command(source_id="spacemouse"), NOW_NS).rule is RefusalRule.DEADMAN
    assert not admission.release("spacemouse")
    assert admission.admit(command(source_id="spacemouse"), NOW_NS) is None


def test_commands_out_of_order_or_twice_are_refused(admission):
    admission.admit(command(), NOW_NS)
    for stamp_ns in (NOW_NS, NOW_NS - MS):
        assert admission.admit(command(stamp_ns=stamp_ns), NOW_NS).rule is RefusalRule.SEQUENCE
    assert admission.admit(command(stamp_ns=NOW_NS + MS), NOW_NS + MS) is None


def test_a_dropped_source_has_to_let_go_first(admission):
    admission.admit(command(), NOW_NS)
    admission.drop()
    refusal = admission.admit(command(stamp_ns=NOW_NS + MS), NOW_NS + MS)
    assert refusal.reason.endswith("let go of the deadman and press it again")
    admission.release("leader")
    assert admission.admit(command(stamp_ns=NOW_NS + MS), NOW_NS + MS) is None
