"""Whether a checkpoint may drive a robot."""

from __future__ import annotations

import math

from pi0_ros.checkpoint.manifest import CheckpointManifest
from pi0_ros.embodiment.types import CAMERA_SLOTS, CHECKPOINT_WIDTH, PAPER_WIDTH, Embodiment


def check(manifest: CheckpointManifest, embodiment: Embodiment) -> tuple[str, ...]:
    """Reasons why ``manifest``'s weights must not drive ``embodiment``; empty if they may.

    Each is a sentence with both values and the fix. The manifest itself checks its
    statistics against its names, so equal names mean statistics of this robot.
    """
    problems: list[str] = []
    rates = embodiment.rates
    if manifest.horizon != rates.horizon:
        problems.append(
            f"the checkpoint predicts {manifest.horizon} steps and {embodiment.name} expects "
            f"rates.horizon {rates.horizon}: use a checkpoint of that horizon"
        )
    if not math.isclose(manifest.step_duration_s, rates.step_duration_s, rel_tol=1e-3):
        problems.append(
            f"the checkpoint's steps are {manifest.step_duration_s:g} s apart and "
            f"{embodiment.name}'s {rates.step_duration_s:g} s: use a checkpoint trained at "
            f"{rates.chunk_hz:g} Hz"
        )
    problems += _names("state", manifest.state_names, embodiment.state_names, embodiment)
    problems += _names("action", manifest.action_names, embodiment.action_names, embodiment)
    problems += _cameras(manifest, embodiment)
    width = manifest.model.action_dim
    if width not in (PAPER_WIDTH, CHECKPOINT_WIDTH):
        problems.append(
            f"the model's vectors are {width} wide and padding maps exist for {PAPER_WIDTH} and "
            f"{CHECKPOINT_WIDTH}: use a model of one of these widths"
        )
    return tuple(problems)


def _names(
    kind: str, ours: tuple[str, ...], robots: tuple[str, ...], embodiment: Embodiment
) -> list[str]:
    if ours == robots:
        return []
    if len(ours) != len(robots):
        difference = f"has {len(ours)} {kind} dimensions and {embodiment.name} {len(robots)}"
    else:
        index = next(
            i for i, pair in enumerate(zip(ours, robots, strict=True)) if len(set(pair)) > 1
        )
        difference = (
            f"calls {kind} dimension {index} {ours[index]!r} and {embodiment.name} "
            f"{robots[index]!r}"
        )
    return [f"the checkpoint {difference}: use a checkpoint for {embodiment.name}"]


def _cameras(manifest: CheckpointManifest, embodiment: Embodiment) -> list[str]:
    present = {slot for slot, has in zip(CAMERA_SLOTS, embodiment.slot_mask, strict=True) if has}
    missing = sorted(set(manifest.cameras) - present)
    extra = sorted(present - set(manifest.cameras))
    problems = []
    if missing:
        problems.append(
            f"the checkpoint needs camera {', '.join(missing)}, which {embodiment.name} lacks: "
            "add the camera or use another checkpoint"
        )
    if extra:
        problems.append(
            f"{embodiment.name} has camera {', '.join(extra)}, which the checkpoint never saw: "
            "remove the camera or use another checkpoint"
        )
    return problems
