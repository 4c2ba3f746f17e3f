"""A robot and a small checkpoint for it, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pi0_ros.checkpoint import CheckpointManifest, Normalisation, Statistics, save
from pi0_ros.model import Pi0Config, random_pi0, variant

NAMES = ("shoulder", "elbow", "gripper")
TOKENIZER = b"stands for a tokenizer"


def small_config() -> Pi0Config:
    tiny = variant("tiny")
    return replace(
        tiny,
        vision=replace(tiny.vision, width=16, depth=1, mlp=16),
        backbone=replace(tiny.backbone, width=16, depth=1, mlp=16),
        expert=replace(tiny.expert, width=16, depth=1, mlp=16),
        vocab=20,
    )


def statistics() -> Statistics:
    return Statistics(
        mean=(0.0, 0.1, 0.2), std=(1.0, 0.5, 0.25), q01=(-2.0, -1.0, 0.0), q99=(2.0, 1.0, 0.5)
    )


def manifest() -> CheckpointManifest:
    return CheckpointManifest(
        name="arm-test",
        trained=True,
        embodiment="arm",
        model=small_config(),
        state_names=NAMES,
        action_names=NAMES,
        cameras=("base_0_rgb", "left_wrist_0_rgb"),
        step_duration_s=0.05,
        delta_mask=(True, True, False),
        normalisation=Normalisation(
            kind="zscore", eps=1e-6, state=statistics(), actions=statistics()
        ),
        tokenizer="tokenizer.model",
        notes={"source": "a test"},
    )


def write(directory: Path) -> Path:
    """A complete checkpoint folder."""
    save(directory, random_pi0(small_config()), manifest(), TOKENIZER)
    return directory
