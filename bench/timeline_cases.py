"""Plots and figures of the setpoint in every case of chunks and ticks.

    python bench/timeline_cases.py [--out FOLDER]

Each case is run by the real executor in simulated time on one joint (2 rad/s, 10 rad/s^2)
and drawn: rows of the chunks, the command, its velocity and acceleration. The table gives
the peaks of the command and the largest change of its acceleration from tick to tick.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pi0_ros.control import Executor, IncomingChunk, Tuning
from pi0_ros.embodiment import Embodiment, load

ROOT = Path(__file__).resolve().parents[1]
MS = 1_000_000
STEP_NS = 20 * MS
Rows = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Offer:
    """A chunk of ``rows(t)`` that arrives at ``at_ms``, stamped ``stamp_ms``."""

    at_ms: int
    stamp_ms: int
    rows: Rows
    sequence: int


@dataclass(frozen=True)
class Case:
    """One case: its chunks, its duration and its chunk rate."""

    title: str
    offers: tuple[Offer, ...]
    length_ms: int = 1200
    chunk_hz: float = 50.0
    horizon: int = 50


def wave(t: np.ndarray) -> np.ndarray:
    """The motion from which most cases take their chunks [rad]."""
    return 0.25 - 0.25 * np.cos(2.2 * t)


def shifted(offset: float) -> Rows:
    """The same motion, shifted by ``offset``."""
    return lambda t: wave(t) + offset


def noisy(seed: int) -> Rows:
    """Noise: neither rows of a chunk nor successive chunks agree."""
    return lambda t: np.random.default_rng(seed).normal(scale=0.03, size=len(t))


CASES = {
    "overlapping": Case(
        "overlapping chunks that agree, and one that is 0.1 rad off",
        (Offer(0, 0, wave, 0), Offer(400, 400, wave, 1), Offer(800, 800, shifted(0.1), 2)),
        1600,
    ),
    "late": Case(
        "late: stamped 0.2 s before it arrives, so its first rows are skipped",
        (Offer(0, 0, wave, 0), Offer(600, 400, shifted(0.05), 1)),
    ),
    "early": Case(
        "early: arrives 0.3 s before its stamp and waits for it",
        (Offer(0, 0, wave, 0), Offer(300, 600, shifted(-0.05), 1)),
    ),
    "refused": Case(
        "out of order and duplicate: refused, the motion goes on",
        (
            Offer(0, 0, wave, 4),
            Offer(300, 300, shifted(0.5), 3),
            Offer(500, 500, shifted(-0.5), 4),
            Offer(700, 700, wave, 5),
        ),
    ),
    "slow_chunks": Case(
        "20 Hz chunks on 50 Hz ticks",
        (Offer(0, 0, wave, 0), Offer(800, 800, shifted(0.05), 1)),
        1600,
        chunk_hz=20.0,
    ),
    "far": Case(
        "far first chunk: approached within limits, by chunks that agree",
        tuple(Offer(k * 400, k * 400, lambda t: 1.0 + 0.0 * t, k) for k in range(4)),
        1600,
    ),
    "exhausted": Case(
        "exhausted: runs out along its last rows and stands at the last one",
        (Offer(0, 0, lambda t: 0.4 * t * t / (t + 0.2), 0),),
        1600,
        horizon=40,
    ),
    "single_row": Case(
        "chunks of a single row: each is gone to for one step",
        tuple(Offer(k * 20, k * 20, wave, k) for k in range(50)),
        1200,
        horizon=1,
    ),
    "contradictory": Case(
        "contradictory: a new chunk of noise (0.03 rad) every 60 ms",
        tuple(Offer(k * 60, k * 60, noisy(k), k) for k in range(20)),
    ),
}


def robot(case: Case) -> Embodiment:
    """One joint of the shipped arm, with the limits above."""
    arm = load("ur5e")
    joint = arm.action[0]
    limits = replace(joint.limits, lower=-3.0, upper=3.0, velocity=2.0, acceleration=10.0)
    state = next(d for d in arm.state if d.name == joint.state)
    controller = next(c for c in arm.controllers if joint.name in c.dimensions)
    return replace(
        arm,
        state=(state,),
        action=(replace(joint, limits=limits),),
        controllers=(replace(controller, dimensions=(joint.name,)),),
        rates=replace(arm.rates, chunk_hz=case.chunk_hz, control_hz=50.0, horizon=case.horizon),
    )


def run(case: Case) -> tuple[np.ndarray, list[tuple[Offer, np.ndarray, np.ndarray, bool]]]:
    """Commands (T, 2): time [s] and position; and each chunk's row times, rows, acceptance."""
    arm = robot(case)
    executor, start_ns = Executor(arm, Tuning()), 10**9
    step_ns = round(1e9 / case.chunk_hz)
    arrivals, commands, seen = list(case.offers), [], []
    for now_ns in range(start_ns - STEP_NS, start_ns + case.length_ms * MS, STEP_NS):
        topic, joint = arm.state[0].topic, arm.state[0].joint
        executor.joints.heard(topic, now_ns)
        executor.joints.update(topic, (joint,), (0.0,), (), ())
        executor.observe(now_ns, now_ns)
        while arrivals and arrivals[0].at_ms * MS + start_ns <= now_ns:
            offer = arrivals.pop(0)
            times = offer.stamp_ms * 1e-3 + np.arange(case.horizon) * step_ns * 1e-9
            rows = offer.rows(times)
            chunk = IncomingChunk(
                stamp_ns=start_ns + offer.stamp_ms * MS,
                step_ns=step_ns,
                names=arm.action_names,
                horizon=case.horizon,
                data=rows.astype(np.float32),
                observation_stamp_ns=now_ns,
                sequence=offer.sequence,
                source_id="bench",
                embodiment=arm.name,
                checkpoint_id="bench",
            )
            seen.append((offer, times, rows, executor.offer(chunk, now_ns) is None))
        command = executor.tick(now_ns).command[0]
        commands.append(((now_ns - start_ns) * 1e-9, command))
    return np.array(commands), seen


def derivatives(commands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Velocity and acceleration of each tick, as differences of the commands."""
    dt = STEP_NS * 1e-9
    velocity = np.diff(commands[:, 1], prepend=commands[0, 1]) / dt
    return velocity, np.diff(velocity, prepend=0.0) / dt


def draw(name: str, case: Case, folder: Path) -> None:
    """One picture: position above, velocity and acceleration below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    commands, seen = run(case)
    velocity, acceleration = derivatives(commands)
    figure, (above, middle, below) = plt.subplots(
        3, 1, figsize=(7.2, 4.8), sharex=True, height_ratios=(2.4, 1, 1), layout="constrained"
    )
    colours = plt.get_cmap("tab10").colors
    for k, (offer, times, rows, taken) in enumerate(seen):
        few = len(seen) <= 5
        label = f"chunk {offer.sequence}" + ("" if taken else ", refused") if few else None
        mark = "o" if taken else "x"
        above.plot(times, rows, mark, color=colours[k % 10], ms=3, alpha=0.5, label=label)
        if few:
            above.axvline(offer.at_ms * 1e-3, color=colours[k % 10], lw=0.8, ls=":")
    above.plot(*commands.T, color="black", lw=1.4, label="command")
    middle.step(commands[:, 0], velocity, color="black", lw=1.0, where="pre")
    below.step(commands[:, 0], acceleration, color="black", lw=1.0, where="pre")
    above.set_ylabel("position [rad]")
    middle.set_ylabel("[rad/s]")
    below.set_ylabel("[rad/s²]")
    below.set_ylim(-11, 11)
    below.set_xlabel("time [s]; dotted: a chunk arrives")
    below.set_xlim(-0.05, case.length_ms * 1e-3)
    above.set_title(case.title, fontsize=10)
    above.legend(fontsize=8, loc="best")
    for axis in (above, middle, below):
        axis.grid(alpha=0.3)
    figure.savefig(folder / f"timeline_{name}.png", dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the pictures; none are drawn without")
    arguments = parser.parse_args()
    summary: dict[str, dict[str, float]] = {}
    print(f"{'case':14s} {'rad/s':>8s} {'rad/s2':>8s} {'change':>8s}  strays from its chunks by")
    for name, case in CASES.items():
        commands, seen = run(case)
        velocity, acceleration = derivatives(commands)
        rows = np.concatenate([rows for _, _, rows, taken in seen if taken] + [np.zeros(1)])
        beyond = np.maximum(commands[:, 1] - rows.max(), rows.min() - commands[:, 1]).max()
        peaks = {
            "velocity": np.abs(velocity).max(),
            "acceleration": np.abs(acceleration).max(),
            "acceleration_change": np.abs(np.diff(acceleration)).max(),
            "strays_rad": max(beyond, 0.0),
        }
        summary[name] = {key: round(float(value), 4) for key, value in peaks.items()}
        figures = list(summary[name].values())
        print(
            f"{name:14s} " + " ".join(f"{v:8.3f}" for v in figures[:3]) + f"  {figures[3]:.4f} rad"
        )
        if arguments.out is not None:
            arguments.out.mkdir(parents=True, exist_ok=True)
            draw(name, case, arguments.out)
    print(json.dumps({"bench": "timeline_cases", "cases": summary}))


if __name__ == "__main__":
    main()
