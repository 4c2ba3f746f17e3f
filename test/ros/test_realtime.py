"""Real-time priority and locked memory: used where allowed, said where not."""

from __future__ import annotations

import os
import resource

import pytest

from pi0_ros.nodes.chunk_executor import realtime


def _refuse(*_arguments: object) -> None:
    raise PermissionError


def test_priority_0_leaves_the_scheduling_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", _refuse)
    assert realtime.raise_priority(0) == "ordinary scheduling (priority is 0)"


def test_the_calling_thread_goes_ahead_of_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[int, int] = {}
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda tid, _policy, p: given.update({tid: p.sched_priority})
    )
    assert realtime.raise_priority(20) == "real-time priority 20"
    assert given.pop(0) == 20
    assert set(given.values()) == {19}
    assert os.getpid() in given


def test_without_permission_the_priority_says_what_would_give_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", _refuse)
    said = realtime.raise_priority(20)
    assert said.startswith("ordinary scheduling: no permission for real-time priority 20")
    assert "rtprio" in said
    realtime.ordinary_priority()


def test_a_limit_just_below_the_priority_leaves_every_thread_ordinary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []

    def schedule(_tid: int, _policy: int, p: os.sched_param) -> None:
        if p.sched_priority > 19:
            raise PermissionError
        given.append(p.sched_priority)

    monkeypatch.setattr(os, "sched_setscheduler", schedule)
    assert realtime.raise_priority(20).startswith("ordinary scheduling")
    assert given == []


def test_what_only_the_superuser_may_clear_is_kept_on_the_way_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # sched(7): without CAP_SYS_NICE the reset-on-fork flag cannot be taken back.
    policies: set[int] = set()
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda _tid, policy, _priority: policies.add(policy)
    )
    realtime.ordinary_priority()
    assert policies == {os.SCHED_OTHER | os.SCHED_RESET_ON_FORK}


def test_memory_under_a_limit_is_not_locked_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (8 << 20, 8 << 20))
    monkeypatch.setattr(realtime, "_has_capability", lambda _number: False)
    assert realtime.lock_memory().startswith("not locked: at most 8192 KiB may be")
