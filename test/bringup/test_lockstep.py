"""Simulated time waits for its followers."""

from __future__ import annotations

import threading

from pi0_bringup.simulation.lockstep import Lockstep

MS = 1_000_000
PERIOD_NS = 20 * MS


def test_a_tick_waits_for_the_answer_to_it_and_to_no_earlier_one() -> None:
    lockstep = Lockstep(PERIOD_NS, timeout_s=60.0)
    lockstep.acknowledge(0, active=True)
    passed = threading.Event()

    def physics() -> None:
        lockstep.wait(PERIOD_NS)
        passed.set()

    thread = threading.Thread(target=physics)
    thread.start()
    lockstep.acknowledge(PERIOD_NS - 1, active=True)
    assert not passed.is_set()
    lockstep.acknowledge(PERIOD_NS, active=True)
    thread.join(timeout=60.0)
    assert passed.is_set()
    assert lockstep.unanswered == 0


def test_nothing_waits_between_ticks_or_for_a_controller_that_is_not_there() -> None:
    lockstep = Lockstep(PERIOD_NS, timeout_s=3600.0)
    lockstep.wait(PERIOD_NS)  # never heard
    lockstep.acknowledge(0, active=True)
    lockstep.wait(PERIOD_NS + 10 * MS)  # between two ticks
    lockstep.acknowledge(0, active=False)
    lockstep.wait(2 * PERIOD_NS)  # deactivated
    assert lockstep.unanswered == 0


def test_a_follower_may_be_behind_by_its_lag_and_no_more() -> None:
    lockstep = Lockstep(PERIOD_NS, lag_ns=3 * PERIOD_NS, timeout_s=0.0)
    lockstep.acknowledge(0, active=True)
    lockstep.wait(3 * PERIOD_NS)
    assert lockstep.unanswered == 0
    lockstep.wait(4 * PERIOD_NS)
    assert lockstep.unanswered == 1


def test_a_controller_that_died_is_waited_for_once() -> None:
    lockstep = Lockstep(PERIOD_NS, timeout_s=0.0)
    lockstep.acknowledge(0, active=True)
    for k in range(1, 5):
        lockstep.wait(k * PERIOD_NS)
    assert lockstep.unanswered == 1
