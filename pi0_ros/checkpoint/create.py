"""Untrained checkpoints, to run the suite before a trained policy exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import listed
from pi0_ros.checkpoint.manifest import CheckpointManifest, Normalisation, Statistics
from pi0_ros.checkpoint.store import MANIFEST_FILE, load_manifest, save
from pi0_ros.checkpoint.tokenizer import train_tokenizer, wordpiece_vocabulary
from pi0_ros.checkpoint.weights import Network
from pi0_ros.embodiment.types import CAMERA_SLOTS, Embodiment
from pi0_ros.model import (
    SMALL_VARIANTS,
    ConfigError,
    Pi0Small,
    random_pi0,
    random_pi0_small,
    variant,
)

EPS = 1e-6
#: Standard deviation of a state as a fraction of its joint's range: ±3 deviations span it.
STATE_SPREAD = 1 / 6
#: The same for actions. The network's output is noise of about unit variance; this much
#: of a joint's range is visible and stays near home.
ACTION_SPREAD = 0.01
#: 1 % and 99 % quantiles of a normal distribution, in standard deviations.
QUANTILE = 2.3263
TOKENIZER_PIECES = 512


def create_untrained(
    directory: Path | str, embodiment: Embodiment, config: str = "tiny", seed: int = 0
) -> None:
    """Writes a checkpoint for ``embodiment`` with random weights of the variant ``config``.

    Its manifest says ``trained: false``. Files depend on the arguments alone. Raises
    :class:`CheckpointError` for an unknown variant, and for a folder that holds anything but
    an untrained checkpoint.
    """
    directory = Path(directory)
    _refuse_to_replace(directory)
    model = _random(config, embodiment.rates.horizon, seed)
    small, vocab = isinstance(model, Pi0Small), model.config.vocab
    pi05 = not isinstance(model, Pi0Small) and model.config.pi05
    manifest = CheckpointManifest(
        name=f"{embodiment.name}-{config}-untrained",
        trained=False,
        embodiment=embodiment.name,
        model=model.config,
        state_names=embodiment.state_names,
        action_names=embodiment.action_names,
        cameras=tuple(s for s, has in zip(CAMERA_SLOTS, embodiment.slot_mask, strict=True) if has),
        step_duration_s=embodiment.rates.step_duration_s,
        delta_mask=(False,) * len(embodiment.action),
        normalisation=_normalisation(embodiment, "quantile" if pi05 else "zscore"),
        tokenizer="vocab.txt" if small else "tokenizer.model",
        tokenizer_kind="wordpiece" if small else "sentencepiece",
        notes={"weights": f"random, seed {seed}", "statistics": "from home pose and limits"},
    )
    make = wordpiece_vocabulary if small else train_tokenizer
    save(directory, model, manifest, make(min(vocab, TOKENIZER_PIECES)))


def _refuse_to_replace(directory: Path) -> None:
    if (directory / MANIFEST_FILE).exists():
        if load_manifest(directory).trained:
            raise CheckpointError(f"{directory}: holds a trained checkpoint; choose another folder")
    elif directory.is_dir() and (there := sorted(p.name for p in directory.iterdir())):
        raise CheckpointError(
            f"{directory}: {listed('not empty', there)[0]}; choose an empty or new folder"
        )


def _random(config: str, horizon: int, seed: int) -> Network:
    if config in SMALL_VARIANTS:
        return random_pi0_small(replace(SMALL_VARIANTS[config], action_horizon=horizon), seed)
    try:
        dimensions = variant(config)
    except ConfigError as error:
        raise CheckpointError(f"{error}, {', '.join(SMALL_VARIANTS)}") from error
    return random_pi0(replace(dimensions, action_horizon=horizon), seed)


def _normalisation(embodiment: Embodiment, kind: str) -> Normalisation:
    """Statistics about the home pose, in proportion to each joint's range."""
    limits = embodiment.limits
    span = limits.upper - limits.lower
    action_of = {d.state: i for i, d in enumerate(embodiment.action) if d.state is not None}
    # A state that no action commands has no known range: it is not normalised.
    measured = [action_of.get(name) for name in embodiment.state_names]
    state_mean = np.array([0.0 if i is None else embodiment.home[i] for i in measured])
    state_std = np.array([1.0 if i is None else STATE_SPREAD * span[i] for i in measured])
    return Normalisation(
        kind="quantile" if kind == "quantile" else "zscore",
        eps=EPS,
        state=_normal(state_mean, state_std),
        actions=_normal(embodiment.home, ACTION_SPREAD * span),
    )


def _normal(mean: NDArray[np.float64], std: NDArray[np.float64]) -> Statistics:
    return Statistics(
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        q01=tuple((mean - QUANTILE * std).tolist()),
        q99=tuple((mean + QUANTILE * std).tolist()),
    )
