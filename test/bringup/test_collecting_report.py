"""The lines that a collection writes about its episodes."""

from __future__ import annotations

import io
from dataclasses import replace

from pi0_bringup.collecting.collector import Demonstration
from pi0_bringup.collecting.progress import Progress, summary_lines

GOOD = Demonstration(
    number=1,
    seed=7,
    succeeded=True,
    best_reward=4,
    max_reward=4,
    last_reward=4,
    success_s=5.5,
    duration_s=8.7,
    path="bags/one",
    accepted=True,
    problems=(),
)
BAD = replace(
    GOOD,
    number=2,
    seed=8,
    succeeded=False,
    best_reward=2,
    success_s=None,
    accepted=False,
    problems=("a gap",),
)


def test_every_episode_is_a_line_with_its_verdict_and_its_bag() -> None:
    stream = io.StringIO()
    progress = Progress(stream, episodes=2)
    progress.tell("resetting")  # no terminal: nothing that moves
    progress.kept(GOOD)
    progress.kept(BAD)
    first, second = stream.getvalue().splitlines()
    assert first == "  1/2  seed 7  reward 4 of 4 after 5.5 s  8.7 s  succeeded  bags/one"
    assert second.endswith("reward 2 of 4  8.7 s  FAILED  bags/one; not accepted: a gap")


def test_the_summary_counts_successes_and_names_the_seeds_that_failed() -> None:
    text = "\n".join(summary_lines([GOOD, BAD], wall_s=20.0))
    assert "succeeded by the scene's reward  1 (50%)" in text
    assert "seeds that failed                8" in text
    assert "17 s in 20 s" in text
    assert "0 (0%)" in "\n".join(summary_lines([], wall_s=1.0))
