"""A human takes over from a chunk and hands back, without a step in the command."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from arm_with_base import MS, START, Bench, assert_within_limits, embodiment

from pi0_ros.control import ExecutorState, TeleopCommand

RAMP = START + np.linspace(0.0, 1.0, 100)[:, None] * [0.8, 0.4, 0.3, 0.4]
NAMES = ("shoulder", "elbow")


class Human:
    """Sends commands every ``period_ms`` of simulated time, along a path."""

    def __init__(self, bench: Bench, period_ms: float = 20.0, names: tuple[str, ...] = NAMES):
        self.bench = bench
        self.period_ms = period_ms
        self.names = names
        self.next_ns = bench.now_ns

    def send(self, position, deadman: bool = True, velocity=(), **changes) -> str | None:
        values = {"stamp_ns": self.bench.now_ns, "source_id": "leader", **changes}
        command = TeleopCommand(
            deadman=deadman,
            names=self.names,
            position=np.array(position, dtype=np.float64),
            velocity=np.array(velocity, dtype=np.float64),
            **values,
        )
        refusal = self.bench.executor.teleoperate(command, self.bench.now_ns)
        return None if refusal is None else refusal.reason

    def drive(self, path: Callable[[float], list[float]], ticks: int) -> None:
        """Tick, and send the commands that are due before each tick; ``path`` takes seconds."""
        for _ in range(ticks):
            while self.next_ns <= self.bench.now_ns + self.bench.period_ns:
                assert self.send(path(self.next_ns * 1e-9), stamp_ns=self.next_ns) is None
                self.next_ns += round(self.period_ms * MS)
            self.bench.tick()

    def let_go(self) -> None:
        assert self.send((0.0, 0.0), deadman=False) is None


def _executing(ticks: int = 15) -> Bench:
    bench = Bench(embodiment(horizon=100))
    bench.tick(2)
    assert bench.offer(RAMP) is None
    assert bench.tick(ticks).state is ExecutorState.EXECUTING
    return bench


def _accelerations(bench: Bench) -> np.ndarray:
    return np.diff(bench.commands(), axis=0, n=2) / 0.02**2


def test_a_takeover_from_a_moving_chunk_has_no_step_in_velocity_or_acceleration():
    bench = _executing()
    human = Human(bench)
    human.drive(lambda _: [0.3, -0.1], 60)
    tick = bench.ticks[-1]
    assert (tick.state, tick.source_id, tick.reason) == (ExecutorState.TELEOPERATED, "leader", "")
    assert tick.command[:2] == pytest.approx([0.3, -0.1], abs=1e-3)
    around = slice(12, 25)
    changes = np.abs(np.diff(_accelerations(bench), axis=0))[around, :2]
    assert changes.max() < 4.0  # of 10 rad/s^2
    assert_within_limits(bench.commands(), bench.robot)
    assert not bench.executor.commanded.hits.any()


def test_dimensions_that_are_not_named_come_to_rest_and_hold():
    bench = _executing()
    moving = bench.ticks[-1].velocity
    assert moving[2] > 0.05
    Human(bench).drive(lambda _: [0.3, -0.1], 60)
    assert bench.ticks[-1].velocity[2:] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert bench.ticks[-1].command[3] == pytest.approx(0.0, abs=1e-6)
    assert 0.5 < bench.ticks[-1].command[2] < 0.6


def test_a_far_leader_is_approached_within_limits():
    bench = Bench()
    bench.tick(2)
    Human(bench).drive(lambda _: [1.5, 0.9], 120)
    assert bench.ticks[-1].command[:2] == pytest.approx([1.5, 0.9], abs=1e-3)
    assert_within_limits(bench.commands(), bench.robot)


@pytest.mark.parametrize("rate_hz", [25.0, 30.0, 60.0])
@pytest.mark.parametrize("tells_velocity", [True, False])
def test_a_slow_stream_is_smooth_at_the_tick_rate(rate_hz, tells_velocity):
    bench = Bench()
    bench.tick(2)
    human = Human(bench, period_ms=1000.0 / rate_hz)
    w, amplitude = 2.0 * np.pi * 0.5, 0.4
    start_s = bench.now_ns * 1e-9

    def path(t: float) -> list[float]:
        return [0.1 + amplitude * np.sin(w * (t - start_s)), -0.2]

    def rate(t: float) -> list[float]:
        return [amplitude * w * np.cos(w * (t - start_s)), 0.0]

    if tells_velocity:
        plain = human.send
        human.send = lambda p, **k: plain(p, velocity=rate(k["stamp_ns"] * 1e-9), **k)
    human.drive(path, 150)
    times = np.array([t.now_ns for t in bench.ticks[52:]]) * 1e-9
    followed = bench.commands()[52:, 0]
    wanted = np.array([path(t)[0] for t in times])
    assert np.abs(followed - wanted).max() < 0.03
    jerk = np.diff(followed, n=3) / 0.02**3
    assert np.abs(jerk).max() < 4.0 * amplitude * w**3 + 15.0
    assert_within_limits(bench.commands(), bench.robot)


def test_while_teleoperated_chunks_are_refused_and_counted():
    bench = _executing()
    Human(bench).drive(lambda _: [0.3, -0.1], 5)
    assert bench.offer(RAMP) == "chunk 1 refused: 'leader' teleoperates"
    assert bench.executor.chunk_admission.refused["teleoperated"] == 1


def test_letting_go_brakes_within_limits_and_holds():
    bench = _executing()
    human = Human(bench)
    start_s = bench.now_ns * 1e-9
    human.drive(lambda t: [0.2 + 0.8 * (t - start_s), -0.1], 40)
    assert bench.ticks[-1].velocity[0] > 0.5
    human.let_go()
    tick = bench.tick()
    assert tick.state is ExecutorState.HOLDING
    assert tick.reason == "'leader' let go of the deadman; waiting for a newer chunk"
    bench.tick(30)
    assert not bench.ticks[-1].velocity.any()
    assert_within_limits(bench.commands(), bench.robot)


def test_after_letting_go_only_a_chunk_seen_since_executes():
    bench = _executing()
    human = Human(bench)
    human.drive(lambda _: [0.3, -0.1], 20)
    seen_ns = bench.now_ns
    human.let_go()
    bench.tick(2)
    assert "older than" in bench.offer(RAMP, observation_stamp_ns=seen_ns)
    assert bench.tick().state is ExecutorState.HOLDING
    assert bench.offer(RAMP) is None
    assert bench.tick().state is ExecutorState.EXECUTING
    assert_within_limits(bench.commands(), bench.robot)


def test_a_silent_source_is_dropped_and_has_to_press_again():
    bench = _executing()
    human = Human(bench)
    human.drive(lambda _: [0.3, -0.1], 20)
    bench.tick(14)
    assert bench.ticks[-1].state is ExecutorState.HOLDING
    assert "silent for 0.2" in bench.ticks[-1].reason
    assert "press it again" in human.send((0.3, -0.1))
    human.let_go()
    assert human.send((0.3, -0.1)) is None
    assert bench.tick().state is ExecutorState.TELEOPERATED


@pytest.mark.parametrize("verb", ["stop", "estop"])
def test_stop_and_estop_take_the_robot_from_the_human(verb):
    bench = _executing()
    human = Human(bench)
    human.drive(lambda _: [0.3, -0.1], 20)
    getattr(bench.operator, verb)()
    assert f"refused: {bench.executor.interlock.reason}" in human.send((0.3, -0.1))
    assert bench.tick().state is (
        ExecutorState.STOPPED if verb == "stop" else ExecutorState.ESTOPPED
    )


def test_a_deadman_held_through_stop_and_start_does_not_take_over():
    bench = _executing()
    human = Human(bench)
    bench.operator.stop()
    assert "stopped by ~/stop" in human.send((0.3, -0.1))
    bench.operator.start(bench.now_ns)
    assert "press it again" in human.send((0.3, -0.1))
    assert bench.tick().state is ExecutorState.HOLDING


def test_a_deadman_held_while_waiting_for_joint_states_does_not_take_over():
    bench = Bench()
    human = Human(bench)
    assert "pose is not known" in human.send((0.1, -0.2))
    bench.tick(2)
    assert "let go" in human.send((0.5, 0.0))
    human.let_go()
    assert human.send((0.5, 0.0)) is None


def test_a_deadman_held_through_the_end_of_one_executor_does_not_drive_the_next():
    must_release: set[str] = set()
    bench = Bench(must_release=must_release)
    bench.tick(2)
    Human(bench).drive(lambda _: [0.3, -0.1], 20)
    bench.executor.end("deactivated")
    bench = Bench(must_release=must_release)
    bench.tick(2)
    human = Human(bench)
    assert "press it again" in human.send((0.3, -0.1))
    assert bench.tick().state is ExecutorState.HOLDING
    human.let_go()
    assert human.send((0.3, -0.1)) is None
    assert bench.tick().state is ExecutorState.TELEOPERATED


def test_a_position_that_overflows_is_held_and_no_command_is_nan():
    bench = Bench()
    bench.tick(2)
    human = Human(bench)
    with np.errstate(all="ignore"):
        for _ in range(5):
            human.send((1e307, 0.0))
            bench.tick()
    assert bench.ticks[-1].state is ExecutorState.HOLDING
    assert any(t.reason.endswith("'shoulder' is not finite") for t in bench.ticks)
    assert all(np.isfinite(t.command).all() for t in bench.ticks)


def test_cameras_are_not_needed_to_teleoperate_and_joint_states_are():
    bench = _executing()
    bench.cameras_alive = False
    human = Human(bench)
    human.drive(lambda _: [0.3, -0.1], 40)
    assert bench.ticks[-1].state is ExecutorState.TELEOPERATED
    bench.joints_alive = False
    bench.tick(15)
    assert bench.ticks[-1].state is ExecutorState.HOLDING


def test_a_vetoed_human_is_held_and_has_to_press_again():
    bench = Bench(veto=lambda command, _: "wall" if command[0] > 0.25 else None)
    bench.tick(2)
    human = Human(bench)
    with pytest.raises(AssertionError, match="press it again"):
        human.drive(lambda _: [0.4, -0.2], 60)
    assert bench.tick().reason == "vetoed: wall"
    assert bench.commands()[:, 0].max() < 0.3


def test_a_teleoperated_base_ramps_to_zero_when_the_human_lets_go():
    bench = Bench()
    bench.tick(2)
    human = Human(bench, names=("base",))
    human.drive(lambda _: [0.4], 70)
    assert bench.ticks[-1].command[3] == pytest.approx(0.4, abs=1e-3)
    assert human.send([0.0], deadman=False) is None
    bench.tick(60)
    sent = [t.command[3] for t in bench.ticks if t.publish[2]]
    assert sent[-3:] == [0.0] * 3
    assert not bench.ticks[-1].publish[2]
    assert_within_limits(bench.commands(), bench.robot)


def test_a_jerk_limit_holds_through_takeover_release_stop_and_home():
    bench = Bench(embodiment(control_hz=200.0, horizon=100, jerk=200.0))
    bench.tick(2)
    bench.offer(RAMP)
    bench.tick(60)
    human = Human(bench, period_ms=30.0)
    human.drive(lambda _: [0.5, 0.3], 200)
    human.let_go()
    bench.tick(100)
    bench.operator.stop()
    bench.tick(2)
    assert bench.operator.home(bench.now_ns).done
    assert bench.tick(400).state is ExecutorState.HOMING
    bench.operator.estop()
    bench.tick(100)
    assert not bench.ticks[-1].velocity.any()
    assert_within_limits(bench.commands(), bench.robot)
