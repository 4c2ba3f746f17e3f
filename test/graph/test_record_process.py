"""The recorder that ``pi0 record`` starts, with stand-in programs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from stand_ins import POLITE, STUBBORN, Prefix

from pi0_ros.clients.record.process import OwnRecorder
from pi0_ros.graph import supervisor
from pi0_ros.graph.child import Child
from pi0_ros.graph.supervisor import GracePeriods, Supervisor
from pi0_ros.system.stop_signals import StopSignals

IMPATIENT = GracePeriods(interrupt_s=0.05, terminate_s=0.0, patient=True)
PATIENT = GracePeriods(interrupt_s=60.0, terminate_s=60.0, patient=True)


@pytest.fixture
def started(prefix: Prefix, monkeypatch: pytest.MonkeyPatch) -> Callable[..., OwnRecorder]:
    """A function that starts a stand-in and waits until it is ready."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix.root))

    def start(
        source: str, *, signals: StopSignals | None = None, grace: GracePeriods
    ) -> OwnRecorder:
        own = OwnRecorder(prefix.process("recorder", source), signals, grace)
        own.start()
        while "ready" not in own.lines():
            own.poll()
            os.sched_yield()
        return own

    return start


def test_it_is_stopped_in_order_and_its_last_output_is_kept(
    started: Callable[..., OwnRecorder], capsys: pytest.CaptureFixture[str]
) -> None:
    with started(POLITE + "sys.stdout.write('half a li')", grace=PATIENT) as own:
        assert not own.ended
    assert own.ended
    assert own.lines()[-2:] == ["stopped by SIGINT", "half a li"]
    assert capsys.readouterr().err == ""


def test_an_early_exit_is_reported(started: Callable[..., OwnRecorder]) -> None:
    with started("print('ready', flush=True)\ninput()", grace=PATIENT) as own:
        while not own.ended:
            own.poll()
        assert own.lines()[-1] == "recorder died: exit code 1"


def test_a_second_signal_does_not_cut_the_writing_short(
    started: Callable[..., OwnRecorder],
) -> None:
    hurry = "import os, time\ntime.sleep(0.1)\nos.kill(os.getppid(), signal.SIGINT)\n"
    slow = POLITE + hurry + "print(signal.sigtimedwait({signal.SIGTERM}, 0.2))"
    with StopSignals() as signals, started(slow, signals=signals, grace=PATIENT) as own:
        signal.raise_signal(signal.SIGINT)
    assert signals.count == 2
    assert own.lines()[-2:] == ["stopped by SIGINT", "None"]


def test_one_that_does_not_end_is_killed_and_reported(
    started: Callable[..., OwnRecorder], capsys: pytest.CaptureFixture[str]
) -> None:
    with started(STUBBORN, grace=IMPATIENT) as own:
        pass
    assert own.ended
    error = capsys.readouterr().err
    assert error == "pi0: recorder had to be killed; `pi0 bag repair` finishes its last episode\n"


def test_one_that_cannot_be_killed_is_abandoned(
    started: Callable[..., OwnRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The guardian would wait for it too.
    monkeypatch.setattr(Supervisor, "_start_guardian", lambda self: None)
    monkeypatch.setattr(Supervisor, "_tell_guardian", lambda self, line: None)
    monkeypatch.setattr(supervisor, "_KILL_WAIT_S", 0.05)
    own = started(STUBBORN, grace=IMPATIENT)
    send = Child.send
    monkeypatch.setattr(
        Child, "send", lambda self, n: None if n is signal.SIGKILL else send(self, n)
    )
    with own:
        pass
    assert not own.ended
    (child,) = own._supervisor._running
    os.kill(child.pid, signal.SIGKILL)
    child._popen.wait()
