"""The recorder that ``pi0 record`` starts for itself, played by stand-ins."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from stand_ins import POLITE, STUBBORN, Prefix

from pi0_ros.clients.record import process as record_process
from pi0_ros.clients.record.process import OwnRecorder
from pi0_ros.graph.child import Child


@pytest.fixture
def recorder(prefix: Prefix, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], OwnRecorder]:
    """Starts a stand-in, and waits until it is ready."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix.root))

    def start(source: str) -> OwnRecorder:
        own = OwnRecorder(prefix.process("recorder", source))
        own.start()
        while "ready" not in own.lines():
            os.sched_yield()
        return own

    return start


def test_told_to_end_it_ends_in_order_and_its_last_words_are_kept(
    recorder: Callable[[str], OwnRecorder], capsys: pytest.CaptureFixture[str]
) -> None:
    with recorder(POLITE + "sys.stdout.write('half a li')") as own:
        pass
    last = ["stopped by SIGINT", "half a li", "the recorder ended: exit code 0"]
    assert own.lines()[-3:] == last
    assert capsys.readouterr().err == ""


def test_one_that_does_not_end_is_killed_and_that_is_said(
    recorder: Callable[[str], OwnRecorder],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(record_process, "_END_S", 0.05)
    with recorder(STUBBORN) as own:
        pass
    assert own.lines()[-1] == "the recorder ended: killed by SIGKILL"
    assert "did not end within 0.05 s and is killed; `pi0 bag repair`" in capsys.readouterr().err


def test_one_that_cannot_be_killed_is_given_up(
    recorder: Callable[[str], OwnRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = recorder(STUBBORN)
    send = Child.send
    monkeypatch.setattr(
        Child, "send", lambda self, n: None if n is signal.SIGKILL else send(self, n)
    )
    monkeypatch.setattr(record_process, "_END_S", 0.05)
    monkeypatch.setattr(record_process, "_KILL_WAIT_S", 0.05)
    with own:
        pass
    assert not own.ended
    assert own._child is not None
    os.kill(own._child.pid, signal.SIGKILL)
    own._child._popen.wait()
