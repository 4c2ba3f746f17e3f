"""Starting, watching and stopping processes, with small stand-in programs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from stand_ins import POLITE, STUBBORN, Prefix

from pi0_ros.graph.declaration import Process
from pi0_ros.graph.options import GraphError
from pi0_ros.graph.supervisor import GracePeriods, Supervisor

FOREVER = GracePeriods(interrupt_s=60.0, terminate_s=60.0)
IMPATIENT = GracePeriods(interrupt_s=0.05, terminate_s=0.05)


class Run:
    """A supervisor whose output is collected; a line of output can trigger a reaction."""

    def __init__(self, prefix: Prefix, *processes: Process, grace: GracePeriods = FOREVER) -> None:
        self.lines: list[tuple[str, str]] = []
        self.reactions: dict[tuple[str, str], Callable[[], None]] = {}
        self._waiting = {process.name for process in processes}
        self.on_ready: Callable[[], None] = interrupt
        self.supervisor = Supervisor(
            processes, self.collect, grace=grace, environment=prefix.environment
        )

    def collect(self, name: str, text: str) -> None:
        self.lines.append((name, text))
        if text == "ready":
            self._waiting.discard(name)
            if not self._waiting:
                self.on_ready()
        self.reactions.get((name, text), lambda: None)()

    def lines_of(self, name: str) -> list[str]:
        return [text for who, text in self.lines if who == name]


def interrupt() -> None:
    """Do what Ctrl-C does to the foreground process."""
    os.kill(os.getpid(), signal.SIGINT)


def test_stops_in_ascending_order_with_sigint(prefix: Prefix) -> None:
    order = {"robot": 3, "executor": 2, "sync": 1, "policy": 0}
    run = Run(prefix, *(prefix.process(n, stop_order=o) for n, o in order.items()))
    assert run.supervisor.run() == 0
    ends = [name for name, text in run.lines if text == "stopped by SIGINT"]
    assert ends == ["policy", "sync", "executor", "robot"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_stop_signals_do_the_same(prefix: Prefix, number: signal.Signals) -> None:
    run = Run(prefix, prefix.process("policy"))
    run.on_ready = lambda: os.kill(os.getpid(), number)
    assert run.supervisor.run() == 0
    assert run.lines_of("policy")[-1] == "stopped by SIGINT"


def test_reports_a_death_by_name_and_exit_code_and_stops_the_rest(prefix: Prefix) -> None:
    broken = prefix.process("camera", "print('no camera', flush=True)\nraise SystemExit(7)")
    run = Run(prefix, prefix.process("robot", stop_order=1), prefix.process("policy"), broken)
    assert run.supervisor.run() == 1
    assert run.supervisor.failure == "camera died: exit code 7"
    assert "camera died: exit code 7" in run.lines_of("pi0")
    assert run.lines_of("camera") == ["no camera"]
    assert run.supervisor.running == ()


def test_reports_the_signal_that_killed_a_process(prefix: Prefix) -> None:
    suicidal = prefix.process("policy", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    run = Run(prefix, suicidal, prefix.process("robot"))
    assert run.supervisor.run() == 1
    assert run.supervisor.failure == "policy died: killed by SIGKILL"


def test_an_end_with_exit_code_0_is_a_death_too(prefix: Prefix) -> None:
    run = Run(prefix, prefix.process("policy", "pass"), prefix.process("robot"))
    assert run.supervisor.run() == 1
    assert run.supervisor.failure == "policy died: exit code 0"


def test_the_end_of_an_uncritical_process_is_only_reported(prefix: Prefix) -> None:
    viewer = prefix.process("viewer", "print('ready', flush=True)", critical=False)
    run = Run(prefix, viewer, prefix.process("robot"))
    awaited = {"the robot", "the report"}

    def seen(what: str) -> None:
        awaited.discard(what)
        if not awaited:
            interrupt()

    run.on_ready = lambda: seen("the robot")
    run.reactions["pi0", "viewer died: exit code 0"] = lambda: seen("the report")
    assert run.supervisor.run() == 0


def test_escalates_to_sigterm_and_sigkill_after_the_grace_times(prefix: Prefix) -> None:
    run = Run(prefix, prefix.process("policy", STUBBORN), grace=IMPATIENT)
    assert run.supervisor.run() == 1
    assert run.supervisor.unclean == ["policy had to be killed"]
    assert run.supervisor.failure is None


def test_each_further_interrupt_escalates_at_once_and_keeps_the_order(prefix: Prefix) -> None:
    run = Run(prefix, prefix.process("policy", STUBBORN), prefix.process("robot", stop_order=1))
    run.reactions["policy", "ignored SIGINT"] = interrupt
    run.reactions["policy", "ignored SIGTERM"] = interrupt
    assert run.supervisor.run() == 1
    assert run.lines_of("policy") == ["ready", "ignored SIGINT", "ignored SIGTERM"]
    assert run.lines_of("robot") == ["ready", "stopped by SIGINT"]


def test_a_bad_exit_code_while_stopping_is_reported(prefix: Prefix) -> None:
    run = Run(prefix, prefix.process("policy", POLITE + "raise SystemExit(3)"))
    assert run.supervisor.run() == 1
    assert run.supervisor.unclean == ["policy ended with exit code 3 while stopping"]


def test_forwards_a_last_line_without_a_newline(prefix: Prefix) -> None:
    run = Run(prefix, prefix.process("policy", "import sys\nsys.stderr.write('half a li')"))
    run.supervisor.run()
    assert run.lines_of("policy") == ["half a li"]


def test_a_last_line_without_a_newline_is_forwarded_though_the_end_is_seen_first(
    prefix: Prefix,
) -> None:
    run = Run(prefix, prefix.process("policy", "import sys\nsys.stderr.write('half a li')"))
    with run.supervisor as supervisor:
        supervisor.start()
        (child,) = supervisor._running
        assert select.select([child.exited], [], [], 60.0)[0]
        supervisor._collect(child)
    assert run.lines_of("policy") == ["half a li"]


# Its own session lets it outlive its parent's group, and it keeps the pipe open.
LEAVES_A_HOLDER = """
import subprocess, sys
words = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
print(subprocess.Popen(words, start_new_session=True).pid, flush=True)
sys.stdout.write("half a li")
"""


def test_a_last_line_without_a_newline_is_forwarded_though_another_process_holds_the_pipe(
    prefix: Prefix,
) -> None:
    run = Run(prefix, prefix.process("policy", LEAVES_A_HOLDER))
    run.supervisor.run()
    pid, last = run.lines_of("policy")
    os.kill(int(pid), signal.SIGKILL)
    assert last == "half a li"


def test_kills_what_a_dead_process_left_in_its_group(prefix: Prefix) -> None:
    source = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
"""
    run = Run(prefix, prefix.process("policy", source))
    run.supervisor.run()
    (pid,) = run.lines_of("policy")
    assert has_ended(int(pid))


def test_starts_nothing_if_a_program_is_missing(prefix: Prefix) -> None:
    present = prefix.process("robot")
    missing = prefix.process("policy")
    prefix.program("policy", "").unlink()
    run = Run(prefix, present, missing)
    error = r"'policy' of package 'stand_ins' is not installed.*colcon"
    with pytest.raises(GraphError, match=error):
        run.supervisor.run()
    assert run.lines == []


def test_an_unstartable_program_stops_those_already_started(prefix: Prefix) -> None:
    broken = prefix.process("policy")
    prefix.program("policy", "").write_text("#!/no/such/interpreter\n")
    run = Run(prefix, prefix.process("robot"), broken)
    with pytest.raises(GraphError, match="cannot start policy"):
        run.supervisor.run()
    assert run.supervisor.running == ()


def test_gives_the_process_its_environment(prefix: Prefix) -> None:
    source = "import os\nprint(os.environ['COLOUR'], flush=True)"
    run = Run(prefix, prefix.process("policy", source, environment={"COLOUR": "green"}))
    run.supervisor.run()
    assert run.lines_of("policy") == ["green"]


SUPERVISE = """
import os, sys
from pi0_ros.graph.supervisor import Supervisor
from pi0_ros.graph.declaration import Process

processes = [
    Process(name=name, package="stand_ins", executable=name, namespace="/", parameters={},
            environment={}, stop_order=order)
    for order, name in enumerate(sys.argv[2:])
]
environment = {**os.environ, "AMENT_PREFIX_PATH": sys.argv[1]}

def say(name, text):
    print(name, text, flush=True)

raise SystemExit(Supervisor(processes, say, environment=environment).run())
"""

# Its output is no longer read when it ends, so it writes to a file.
RECORD_END = """
import os, signal
stops = {{signal.SIGINT, signal.SIGTERM}}
signal.pthread_sigmask(signal.SIG_BLOCK, stops)
print("pid", os.getpid(), flush=True)
signal.sigwait(stops)
open({record!r}, "a").write("{name} ")
"""


def test_a_killed_supervisor_leaves_nothing_and_keeps_the_order(prefix: Prefix) -> None:
    record = prefix.root / "ends"
    for name in ("policy", "robot"):
        prefix.program(name, RECORD_END.format(name=name, record=str(record)))
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(prefix.root), "policy", "robot"],
        env={**prefix.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    lines: list[str] = []
    try:
        while sum(" pid " in line for line in lines) < 2:
            lines.append(supervisor.stdout.readline())
            assert lines[-1], "the supervisor ended early"
    finally:
        supervisor.kill()
        supervisor.wait()
    pids = [int(line.split()[-1]) for line in lines if " pid " in line]
    assert all(has_ended(pid) for pid in pids)
    assert record.read_text().split() == ["policy", "robot"]


def has_ended(pid: int) -> bool:
    """Wait for the end of a process that is not our child, without polling."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 60.0)[0])
    finally:
        os.close(fd)
