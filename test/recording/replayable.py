"""A tiny bag of commands: a robot that waves its left waist while its base drives."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import get_types_from_msg

from pi0_ros.dataset.convert.actions import STATUS_TOPIC
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.dataset.export.messages import STORE, CommandMessages
from pi0_ros.embodiment import load
from pi0_ros.recording.definitions import definition
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
    reported: bool = False,
) -> Path:
    """Write ``steps`` commands at 50 Hz; leaves out those of the controller ``without``.

    ``reported``: the executor's reports too, which arrive late and in bursts of five.
    """
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
    extra = {STATUS_TOPIC: _register()} if reported else None
    bag = EpisodeBagWriter(folder, name, ROBOT, info, extra)
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
        if reported:
            late_ns = start_ns + (k // 5 * 5 + 5) * NS // 50
            bag.add(STATUS_TOPIC, late_ns, _status(log_ns, action.tolist()))
    return bag.finish(end_ns)


def _register() -> str:
    """Make the type of the executor's report known to the writer; its name."""
    kind = "pi0_msgs/msg/ExecutorStatus"
    if kind not in STORE.types:
        types = get_types_from_msg(definition(kind).text, kind)
        STORE.register({n: t for n, t in types.items() if n not in STORE.fielddefs})
    return kind


def _status(stamp_ns: int, command: list[float]) -> Any:
    kind = STORE.types["pi0_msgs/msg/ExecutorStatus"]
    time = STORE.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, NS))
    known = {
        "header": STORE.types["std_msgs/msg/Header"](stamp=time, frame_id=""),
        "action_names": list(ROBOT.action_names),
        "command": np.array(command),
    }
    empty = {"str": "", "int": 0, "float": 0.0}
    for field in dataclasses.fields(kind):
        if field.name not in known and not field.name.isupper():
            text = str(field.type)
            known[field.name] = np.empty(0) if "ndarray" in text else empty.get(text, 0)
    return kind(**known)
