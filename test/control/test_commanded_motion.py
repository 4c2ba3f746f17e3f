"""The tangent that controllers get with the command, and the effect of a veto on the state."""

from __future__ import annotations

import numpy as np
from arm_with_base import START, Bench, embodiment

from pi0_ros.control.commanded_motion import CommandedMotion

DT = 0.02
WAVE = START + 0.2 * np.sin(np.linspace(0.0, 6.0, 150))[:, None] * [1.0, 0.8, 0.5, 0.5]


def _accelerations(positions: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The acceleration at both ends of every cubic that a controller draws between two points."""
    chord = np.diff(positions, axis=0) / DT
    begin, end = slopes[:-1], slopes[1:]
    return np.concatenate(
        ((6.0 * chord - 4.0 * begin - 2.0 * end) / DT, (2.0 * begin + 4.0 * end - 6.0 * chord) / DT)
    )


def test_a_cubic_through_commands_and_tangents_has_the_acceleration_of_the_motion():
    bench = Bench(embodiment(horizon=150))
    bench.tick(2)
    bench.offer(WAVE)
    bench.tick(140)
    ticks = bench.ticks[40:130]
    commands = np.array([t.command for t in ticks])
    true = np.abs(np.diff(commands, n=2, axis=0)).max() / DT**2
    tangents = _accelerations(commands, np.array([t.tangent for t in ticks]))
    means = _accelerations(commands, np.array([t.velocity for t in ticks]))
    assert np.abs(tangents).max() < 1.3 * true
    assert np.abs(means).max() > 3.0 * true


def test_a_tangent_never_points_back_where_the_robot_comes_to_rest():
    bench = Bench(embodiment(horizon=150))
    bench.tick(2)
    bench.offer(WAVE)
    bench.tick(20)
    bench.executor.hold("test")
    bench.tick(20)
    for tick in bench.ticks[22:]:
        assert (tick.tangent * tick.velocity >= 0.0).all()
        assert not tick.tangent[tick.velocity == 0.0].any()


def test_a_vetoed_tick_does_not_change_the_commanded_motion():
    mover = CommandedMotion(embodiment(), START, np.zeros(4), veto=lambda *_: "no")
    wanted = np.stack((START + 0.1, np.zeros(4), np.zeros(4)))
    assert mover.follow(wanted) == "vetoed: no"
    assert mover.position.tolist() == START.tolist()
    assert not mover.motion[1:].any()
    assert mover.vetoed_ticks == 1
