"""Success rate of the scripted cube transfer by gym-aloha's own reward, through the executor.

    .venv/bin/python bench/expert.py --seeds 50

Physics, executor and expert run in one process and in simulated time; nothing is drawn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

from pi0_bringup.teleoperation.expert.trial import TransferTrial, Trial
from pi0_bringup.teleoperation.expert.waypoints import Variation
from pi0_ros.embodiment import load


def main() -> None:
    """Run the trials, print a table and end with one line of JSON."""
    given = _arguments()
    still = Variation(coarse_m=0.0, near_m=0.0, fine_m=0.0, meeting_m=0.0, tilt_rad=0.0, pace=0.0)
    trial = TransferTrial(load("bimanual_trossen"), still if given.still else None)
    begin_s = time.perf_counter()
    trials = []
    print("seed     cube x, y   reward  success  duration  command from plan  limit hits")
    for seed in range(given.first, given.first + given.seeds):
        trials.append(trial.run(seed))
        _print_row(trials[-1])
    _summarise(trials, time.perf_counter() - begin_s)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--still", action="store_true", help="without a human's variation")
    given = parser.parse_args()
    if given.seeds < 1:
        sys.exit(f"expert: --seeds is {given.seeds}; give at least 1")
    return given


def _print_row(trial: Trial) -> None:
    at = "-" if trial.success_s is None else f"{trial.success_s:.1f} s"
    print(
        f"{trial.seed:4d}  {trial.cube[0]:6.3f}, {trial.cube[1]:.3f}  {trial.best_reward:6d}"
        f"  {at:>7}  {trial.duration_s:6.1f} s  {trial.following_error:15.3f}"
        f"  {trial.limit_hits:12d}",
        flush=True,
    )


def _summarise(trials: list[Trial], wall_s: float) -> None:
    succeeded = sum(trial.succeeded for trial in trials)
    kept = sum(trial.last_reward == 4 for trial in trials)
    simulated_s = sum(trial.duration_s for trial in trials)
    durations = [trial.duration_s for trial in trials]
    print(
        f"\n{succeeded} of {len(trials)} reached reward 4 ({succeeded / len(trials):.0%}), "
        f"{kept} still had it at the end; {simulated_s:.0f} s in {wall_s:.0f} s"
    )
    result = {
        "bench": "expert",
        "seeds": len(trials),
        "succeeded": succeeded,
        "success_rate": succeeded / len(trials),
        "kept_to_the_end": kept,
        "failed_seeds": [trial.seed for trial in trials if not trial.succeeded],
        "duration_s_mean": round(statistics.mean(durations), 2),
        "duration_s_min": round(min(durations), 2),
        "duration_s_max": round(max(durations), 2),
        "times_real_time": round(simulated_s / wall_s, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
