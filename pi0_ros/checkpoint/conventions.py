"""Conventions of a checkpoint that its files may leave open: joint directions, prompt."""

from __future__ import annotations

from pathlib import Path

from pi0_ros.checkpoint.contents import CheckpointContents, Layout, StoredStatistics
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.manifest import RobotTransformKind
from pi0_ros.embodiment.types import Embodiment

#: openpi's published statistics: those of its ALOHA configurations, trained with
#: ``adapt_to_pi``, and those of robots that have no conventions of their own.
_ALOHA_ASSETS = ("trossen", "trossen_mobile")
_OTHER_ASSETS = ("droid", "franka", "ur5e", "ur5e_dual", "arx", "arx_mobile", "fibocom_mobile")
#: Model slots of two arms of six joints with grippers, which ALOHA's conventions apply to.
_TWO_ARMS = frozenset(range(14))


def robot_transform(
    contents: CheckpointContents,
    statistics: StoredStatistics,
    embodiment: Embodiment,
    given: RobotTransformKind | None,
) -> tuple[RobotTransformKind, str]:
    """The manifest's ``robot_transform``, and why.

    It is the ``given`` one, else that of LeRobot's configuration, else the one that belongs to
    the id of openpi's statistics. Raises :class:`CheckpointError` for a transform that does not
    apply to this robot, and where none of them decides and the robot has two arms: a wrong
    transform turns joints the wrong way.
    """
    kind, why = _decide(contents, statistics, embodiment, given)
    if kind != "none" and not _two_arms(embodiment):
        raise CheckpointError(
            f"{contents.root}: robot transform {kind} ({why}) is for two arms of six joints with "
            f"grippers, which {embodiment.name} is not: give --robot-transform none, or another "
            "robot"
        )
    return kind, why


def _decide(
    contents: CheckpointContents,
    statistics: StoredStatistics,
    embodiment: Embodiment,
    given: RobotTransformKind | None,
) -> tuple[RobotTransformKind, str]:
    if given is not None:
        return given, "as given"
    if contents.robot_transform is not None:
        return contents.robot_transform, "adapt_to_pi_aloha in its configuration"
    if contents.layout not in (Layout.OPENPI, Layout.JAX):
        return "none", "LeRobot trains in the robot's own conventions"
    asset = Path(statistics.source).parent.name
    if asset in _ALOHA_ASSETS:
        return "aloha", f"openpi's statistics {asset} are of adapt_to_pi"
    if asset in _OTHER_ASSETS or not _two_arms(embodiment):
        return "none", f"openpi's statistics {asset}"
    raise CheckpointError(
        f"{contents.root}: nothing says whether its joints and grippers are ALOHA's "
        f"(statistics {asset}, {embodiment.name}): give --robot-transform aloha, as openpi trains "
        "with adapt_to_pi, its default for ALOHA, or --robot-transform none"
    )


def state_in_prompt(contents: CheckpointContents, given: bool | None) -> bool:
    """Whether the prompt contains the state; by default, π0.5's does.

    Raises :class:`CheckpointError` where ``given`` contradicts the files or the model.
    """
    if given is None:
        return contents.config.pi05 and contents.state_in_prompt is not False
    flag = "--state-in-prompt" if given else "--no-state-in-prompt"
    if not contents.config.pi05:
        raise CheckpointError(f"{contents.root}: {flag} is for π0.5, this is π0: leave it out")
    if contents.state_in_prompt is not None and contents.state_in_prompt != given:
        raise CheckpointError(
            f"{contents.root}: {flag} and its configuration says discrete_state_input "
            f"{str(contents.state_in_prompt).lower()}: leave {flag} out"
        )
    return given


def _two_arms(embodiment: Embodiment) -> bool:
    return all(
        {d.slots.checkpoint for d in dimensions} >= _TWO_ARMS
        for dimensions in (embodiment.state, embodiment.action)
    )
