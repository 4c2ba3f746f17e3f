"""Compares the strategies at the boundaries between chunks, at several inference delays.

    python bench/boundaries.py [--seconds 12] [--quick] [--plot FILE]

The real strategies, sampler and executor run in simulated time, so every machine prints the same
numbers. There are two policies: an analytic one that passes obstacles on either side
(bench/_detour.py), and the tiny network with random weights, whose chunks share only the scale of
their noise. At a splice:

- chunks: distance between the rows of the new and the old chunk for the same time;
- commands: largest value that the executor sends within 0.3 s after the splice.

The figures are means over all splices except the first two, of the largest joint of each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _closed_loop import Array, Infer, Run, run, timing_of
from _detour import PERIOD_S, Detour

from pi0_ros.checkpoint import create_untrained
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.policy.backends.local import LocalPolicy, example_observation
from pi0_ros.policy.options import InferenceOptions, RtcOptions
from pi0_ros.policy.strategy import (
    ChunkTiming,
    RealTimeChunking,
    Sequential,
    Strategy,
    TemporalEnsemble,
)
from pi0_ros.policy.types import RemainingActions

DELAYS = (0, 2, 6, 12)
STRATEGIES: dict[str, Callable[[ChunkTiming], Strategy]] = {
    "sequential": Sequential,
    "temporal_ensemble": TemporalEnsemble,
    "rtc guided": lambda timing: RealTimeChunking(timing, RtcOptions(mode="guided")),
    "rtc prefix": lambda timing: RealTimeChunking(timing, RtcOptions(mode="prefix")),
}
#: Time after a splice in which commands count, and splices left out at the start.
AFTER_S, SKIPPED = 0.3, 2
#: Least distance at the obstacle for a detour, as a share of the full distance.
CLEARED = 0.6
Figures = dict[str, float]


def main() -> None:
    """Measures, prints two tables, ends with one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=12.0, help="simulated, each run")
    parser.add_argument("--quick", action="store_true", help="one delay, a few seconds")
    parser.add_argument("--plot", type=Path, help="write a picture of the analytic policy's runs")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the sums of more threads depend on the machine
    robot = load("bimanual_trossen")
    seconds, delays = (6.0, (6,)) if args.quick else (args.seconds, DELAYS)
    ticks = round(seconds * robot.rates.control_hz)

    detour_runs = {
        (name, delay): run(
            robot, make(timing_of(robot)), Detour(robot, 0).infer, delay=delay, ticks=ticks
        )
        for delay in delays
        for name, make in STRATEGIES.items()
    }
    analytic = {key: detour_figures(robot, r) for key, r in detour_runs.items()}
    table("analytic policy", robot, seconds, analytic)
    with tempfile.TemporaryDirectory() as folder:
        create_untrained(folder, robot)
        network = {
            (name, delay): figures(
                run(
                    robot,
                    make(timing_of(robot)),
                    tiny(robot, folder),
                    delay=delay,
                    ticks=ticks // 2,
                )
            )
            for delay in delays
            for name, make in STRATEGIES.items()
        }
    table("tiny network, random weights", robot, seconds / 2, network)
    if args.plot:
        from _boundaries_plot import plot

        plot(args.plot, robot, detour_runs, analytic)
    result = {"bench": "boundaries", "embodiment": robot.name, "seconds": seconds}
    for name, rows in (("analytic", analytic), ("tiny", network)):
        result[name] = {f"{strategy}, {delay}": row for (strategy, delay), row in rows.items()}
    print(json.dumps(result))


def tiny(robot: Embodiment, folder: str) -> Infer:
    """The tiny network as a policy for a robot that follows its commands exactly."""
    policy = LocalPolicy(folder, robot, InferenceOptions(seed=0, threads=1))
    example = example_observation(robot, policy.image_size)

    def infer(position: Array, _now_s: float, remaining: RemainingActions | None) -> Array:
        return policy.infer(replace(example, state=position), remaining).actions.astype(float)

    return infer


def figures(result: Run) -> Figures:
    """Means over the splices; see the top of the file."""
    orders = [result.commands]
    for _ in range(3):
        orders.append(np.diff(orders[-1], axis=0) / result.dt_s)
    splices = result.splices[SKIPPED:]
    window = round(AFTER_S / result.dt_s)
    values: Figures = {
        f"chunk {what}": float(np.mean([s.jumps[order] for s in splices]))
        for order, what in enumerate(("position", "velocity", "acceleration"))
    }
    for order, what in ((1, "velocity"), (2, "acceleration"), (3, "jerk")):
        # A difference is known at the tick that completes it.
        peaks = [
            np.abs(orders[order][s.tick - order : s.tick - order + window]).max() for s in splices
        ]
        values[f"command {what}"] = float(np.mean(peaks))
    values |= {"limit hits": result.hits, "holds": result.underruns}
    values |= {"splices": len(result.splices), "inferences": result.inferences}
    return {name: round(value, 4) for name, value in values.items()}


def detour_figures(robot: Embodiment, result: Run) -> Figures:
    """The same, and how many obstacles the robot passed on one of the two sides."""
    times_s = result.times_s
    aside = np.abs(Detour(robot, 0).aside(result.commands, times_s))
    obstacles_s = np.arange(times_s[0] + 1.5 * PERIOD_S, times_s[-1], PERIOD_S)
    nearest = [aside[np.abs(times_s - t) < 0.15].max() for t in obstacles_s]
    return figures(result) | {
        "cleared": float(np.sum(np.array(nearest) > CLEARED)),
        "obstacles": float(len(nearest)),
    }


def table(
    title: str, robot: Embodiment, seconds: float, rows: dict[tuple[str, int], Figures]
) -> None:
    """Prints one row for each strategy and delay."""
    step_ms = 1e3 / robot.rates.chunk_hz
    print(f"{title}: {robot.name}, {seconds:g} s each, 1 step = {step_ms:g} ms")
    print(f"{'':24}{'at the splice, between chunks':>33}{'commands within 0.3 s':>34}")
    heads = ("rad", "rad/s", "rad/s2", "rad/s", "rad/s2", "rad/s3", "limited", "passed")
    print(f"{'strategy':<18}{'delay':>6}" + "".join(f"{head:>11}" for head in heads))
    names = [
        *(f"chunk {what}" for what in ("position", "velocity", "acceleration")),
        *(f"command {what}" for what in ("velocity", "acceleration", "jerk")),
    ]
    for (strategy, delay), row in rows.items():
        numbers = "".join(f"{row[name]:>11.4g}" for name in names)
        passed = f"{row['cleared']:.0f}/{row['obstacles']:.0f}" if "cleared" in row else ""
        print(f"{strategy:<18}{delay:>6}{numbers}{row['limit hits']:>11.0f}{passed:>11}")
    print()


if __name__ == "__main__":
    main()
