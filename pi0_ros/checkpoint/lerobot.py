"""LeRobot's π0 and π0.5 folders, current and up to 0.3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pi0_ros.checkpoint import processors
from pi0_ros.checkpoint.contents import CheckpointContents, Layout, StoredStatistics
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import read_tensors
from pi0_ros.checkpoint.jsonfile import read_object
from pi0_ros.checkpoint.names import (
    TOKEN_TABLE,
    is_legacy,
    is_normalisation,
    is_pi05,
    rename,
    strip_model,
)
from pi0_ros.checkpoint.openpi import (
    CONFIG_FILE,
    derive_checked,
    read_discrete_state,
    read_hints,
)
from pi0_ros.checkpoint.tensors import LazyTensor

_TYPES = {"pi0": False, "pi05": True}
_IMAGES = "observation.images."
_LEFT_AND_TOP = "trained with padding at the left and top only; this suite centres"


def read_lerobot(directory: Path) -> CheckpointContents:
    """The contents of a LeRobot folder. Raises :class:`CheckpointError`."""
    stored = read_tensors(directory)
    tensors = rename(stored)
    path = directory / CONFIG_FILE
    data = read_object(path, "a LeRobot configuration") if path.is_file() else {}
    _check_type(data, path, pi05=is_pi05(tensors))
    hints = read_hints(data, path)
    legacy = is_legacy(stored)
    statistics, why = processors.statistics(directory)
    if statistics is None and legacy:
        statistics, why = _buffers(stored, data, directory)
    relative, words, names = _relative_actions(directory, data)
    return CheckpointContents(
        layout=Layout.LEROBOT_LEGACY if legacy else Layout.LEROBOT,
        root=directory,
        config=derive_checked(tensors, hints, data, directory),
        tensors=tensors,
        stored=len(stored),
        tied=TOKEN_TABLE in tensors and not any("embed_tokens" in key for key in stored),
        statistics=statistics,
        no_statistics_because=why,
        horizon=hints.action_horizon,
        relative_actions=relative,
        absolute_words=words,
        action_names=names,
        cameras=_cameras(data, path),
        tokenizer=_tokenizer(directory),
        state_in_prompt=read_discrete_state(data, path),
        robot_transform="aloha_lerobot" if data.get("adapt_to_pi_aloha") else None,
        notes={"images": _LEFT_AND_TOP} if legacy else {},
    )


def _check_type(data: Mapping[str, Any], path: Path, *, pi05: bool) -> None:
    kind = data.get("type")
    if kind is None:
        return
    if not isinstance(kind, str) or kind not in _TYPES:
        raise CheckpointError(
            f"{path}: policy type {kind!r} is another architecture; this suite runs "
            f"{' and '.join(_TYPES)}"
        )
    if _TYPES[kind] != pi05:
        raise CheckpointError(
            f"{path}: type is {kind} and the tensors are those of {'pi05' if pi05 else 'pi0'}: "
            "use weights and configuration of the same model"
        )
    if data.get("use_delta_joint_actions_aloha"):
        raise CheckpointError(
            f"{path}: use_delta_joint_actions_aloha is set, which LeRobot never carried out; "
            "use a checkpoint trained without it"
        )


def _buffers(
    stored: Mapping[str, LazyTensor], data: Mapping[str, Any], directory: Path
) -> tuple[StoredStatistics | None, str]:
    """Statistics of the old layout, which are stored among the weights."""
    found: dict[str, LazyTensor] = {}
    # The last module overrides the others: sampling un-normalises actions with it.
    for module, feature in (
        ("normalize_inputs.buffer_observation_state", "observation.state"),
        ("normalize_targets.buffer_action", "action"),
        ("unnormalize_outputs.buffer_action", "action"),
    ):
        for key, tensor in stored.items():
            if is_normalisation(key) and strip_model(key).startswith(module + "."):
                found[f"{feature}.{key.rpartition('.')[2]}"] = tensor
    modes = data.get("normalization_mapping") or {}
    if not isinstance(modes, dict):
        raise CheckpointError(
            f"{directory / CONFIG_FILE}: normalization_mapping is {modes!r}: an object expected"
        )
    state, action = (str(modes.get(key, "MEAN_STD")).upper() for key in ("STATE", "ACTION"))
    return processors.from_tensors(found, state, action, processors.EPS, str(directory))


def _relative_actions(
    directory: Path, data: Mapping[str, Any]
) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether actions are relative to the state, the words that exempt one, action names."""
    config: Mapping[str, Any] = {
        "enabled": data.get("use_relative_actions", False),
        "exclude_joints": data.get("relative_exclude_joints"),
        "action_names": data.get("action_feature_names"),
    }
    path = directory / processors.PREPROCESSOR
    step = None
    if path.is_file():
        step = processors.find(processors.read_pipeline(path), "relative_actions_processor")
    if step is not None:
        config = {**config, **{k: v for k, v in step.config.items() if v is not None}}
    words, names = (
        _strings(config[key] or [], f"{key} of relative actions", directory)
        for key in ("exclude_joints", "action_names")
    )
    return bool(config["enabled"]), words, names


def _strings(values: Any, what: str, directory: Path) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise CheckpointError(f"{directory}: {what} is {values!r}: a list of names expected")
    return tuple(values)


def _cameras(data: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Names of the cameras, in the order in which LeRobot feeds them."""
    features = data.get("input_features") or {}
    if not isinstance(features, dict):
        raise CheckpointError(f"{path}: input_features is {features!r}: an object expected")
    visual = [n for n, f in features.items() if isinstance(f, dict) and f.get("type") == "VISUAL"]
    names = [n.removeprefix(_IMAGES) for n in visual]
    return tuple(n for n in names if not n.startswith("empty_camera"))


def _tokenizer(directory: Path) -> Path | None:
    path = directory / processors.PREPROCESSOR
    if not path.is_file():
        return None
    step = processors.find(processors.read_pipeline(path), "tokenizer_processor")
    if step is None:
        return None
    for folder in step.artifacts.values():
        file = directory / str(folder) / "tokenizer.model"
        if file.is_file() and directory.resolve() in file.resolve().parents:
            return file
    return None
