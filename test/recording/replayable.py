"""A tiny bag of commands: a robot that waves its left waist while its base drives."""

from __future__ import annotations

from pathlib import Path

from pi0_ros.embodiment import load
from pi0_ros.recording.dataset.bag_out import RobotBag
from pi0_ros.recording.dataset.messages import CommandMessages
from pi0_ros.recording.episode import EpisodeInfo, Instruction, Outcome

ROBOT = load("mobile_trossen")
NS = 1_000_000_000
START_NS = 1_700_000_000 * NS


def write_bag(
    folder: Path,
    *,
    steps: int,
    name: str = "take",
    start_ns: int = START_NS,
    without: str = "",
) -> Path:
    """Write ``steps`` commands at 50 Hz; leaves out those of the controller ``without``."""
    end_ns = start_ns + (steps - 1) * NS // 50
    info = EpisodeInfo(
        embodiment=ROBOT.name,
        embodiment_yaml=ROBOT.path.read_text(encoding="utf-8"),
        task="wave",
        outcome=Outcome.SUCCEEDED,
        instructions=(Instruction(stamp_ns=start_ns, text="wave"),),
        start_ns=start_ns,
        accepted=True,
    )
    bag = RobotBag(folder, name, ROBOT, info)
    commands = CommandMessages(ROBOT)
    left_out = [c.topic for c in ROBOT.controllers if c.name == without]
    for k in range(steps):
        action = ROBOT.home
        action[0] = 0.1 + 0.01 * k
        action[ROBOT.action_names.index("base_x")] = 0.1
        log_ns = start_ns + k * NS // 50
        for topic, message in commands.make(log_ns, action).items():
            if topic not in left_out:
                bag.add(topic, log_ns, message)
    return bag.finish(end_ns)
