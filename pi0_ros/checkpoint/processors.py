"""LeRobot's processor files: normalisation, relative actions and tokenizer of a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pi0_ros.checkpoint.contents import StoredStatistics
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import read_header
from pi0_ros.checkpoint.jsonfile import read_object
from pi0_ros.checkpoint.manifest import Statistics
from pi0_ros.checkpoint.tensors import LazyTensor

PREPROCESSOR = "policy_preprocessor.json"
POSTPROCESSOR = "policy_postprocessor.json"
EPS = 1e-8
#: Statistics that LeRobot's modes other than mean and deviation map to -1 and 1.
_BOUNDS = {
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
    "MIN_MAX": ("min", "max"),
}
_STATE, _ACTION = "observation.state", "action"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorStep:
    """One step of a pipeline; ``state_file`` holds its tensors, if it has any."""

    name: str
    config: Mapping[str, Any]
    state_file: Path | None
    artifacts: Mapping[str, str]


def read_pipeline(path: Path) -> tuple[ProcessorStep, ...]:
    """The steps of a processor file, in order. Raises :class:`CheckpointError`."""
    data = read_object(path, "a LeRobot processor")
    steps = data.get("steps")
    if not isinstance(steps, list) or not all(isinstance(s, dict) for s in steps):
        raise CheckpointError(f"{path}: steps is missing; copy it again")
    return tuple(_step(path, s) for s in steps)


def find(steps: tuple[ProcessorStep, ...], name: str) -> ProcessorStep | None:
    """The first step of that registry name."""
    return next((step for step in steps if step.name == name), None)


def statistics(folder: Path) -> tuple[StoredStatistics | None, str]:
    """Normalisation of the pre- and postprocessor, or None and the reason.

    The forward direction uses the preprocessor's statistics, the inverse the
    postprocessor's action statistics. Raises :class:`CheckpointError` for a mode that
    this suite cannot undo exactly.
    """
    if not (folder / PREPROCESSOR).is_file():
        return None, f"no {PREPROCESSOR}"
    before = find(read_pipeline(folder / PREPROCESSOR), "normalizer_processor")
    if before is None:
        return None, f"{PREPROCESSOR} has no normalizer_processor"
    tensors = _tensors(before)
    after = None
    if (folder / POSTPROCESSOR).is_file():
        after = find(read_pipeline(folder / POSTPROCESSOR), "unnormalizer_processor")
    if after is not None:
        tensors |= {k: v for k, v in _tensors(after).items() if k.startswith(_ACTION + ".")}
    modes = before.config.get("norm_map") or {}
    eps = before.config.get("eps", EPS)
    if not isinstance(modes, dict) or not _is_eps(eps):
        raise CheckpointError(
            f"{folder / PREPROCESSOR}: norm_map is {modes!r} and eps {eps!r}: an object and a "
            "finite number of at least 0 expected"
        )
    source = str(before.state_file or folder / PREPROCESSOR)
    return from_tensors(tensors, _mode(modes, "STATE"), _mode(modes, "ACTION"), eps, source)


def from_tensors(
    tensors: Mapping[str, LazyTensor], state_mode: str, action_mode: str, eps: float, source: str
) -> tuple[StoredStatistics | None, str]:
    """Normalisation from tensors called ``<feature>.<statistic>``, or None and the reason.

    LeRobot adds ``eps`` to deviations in the forward direction only, and never to bounds.
    """
    for what, mode in (("STATE", state_mode), ("ACTION", action_mode)):
        if mode not in ("MEAN_STD", "IDENTITY", *_BOUNDS):
            raise CheckpointError(
                f"{source}: {what} is normalised by {mode}, which this release does not do; "
                f"use a checkpoint trained with MEAN_STD or {', '.join(_BOUNDS)}"
            )
    used = {mode in _BOUNDS for mode in (state_mode, action_mode) if mode != "IDENTITY"}
    if len(used) == 2:
        raise CheckpointError(
            f"{source}: STATE is normalised by {state_mode} and ACTION by {action_mode}; "
            "this release takes bounds for both or mean and deviation for both"
        )
    parts = {}
    for feature, mode in ((_STATE, state_mode), (_ACTION, action_mode)):
        bounds = _BOUNDS.get(mode, _BOUNDS["QUANTILES"])
        known = mode == "IDENTITY"
        parts[feature] = None if known else _statistics(tensors, feature, bounds, source)
        if mode != "IDENTITY" and parts[feature] is None:
            return None, f"no statistics of {feature} in {source}; give them with --stats"
    quantile = used == {True}
    stored = StoredStatistics(
        kind="quantile" if quantile else "zscore",
        eps=0.0 if quantile else float(eps),
        inverse_eps=0.0,
        state=parts[_STATE],
        actions=parts[_ACTION],
        source=source,
    )
    return stored, ""


def _statistics(
    tensors: Mapping[str, LazyTensor], feature: str, bounds: tuple[str, str], source: str
) -> Statistics | None:
    """None if the file has none, or the +inf that old releases store instead.

    The values mapped to -1 and 1 (``bounds``) become q01 and q99.
    """
    lists: dict[str, tuple[float, ...]] = {}
    for key, name in zip(("mean", "std", "q01", "q99"), ("mean", "std", *bounds), strict=True):
        tensor = tensors.get(f"{feature}.{name}")
        if tensor is not None:
            values = tensor.read().double().flatten()
            if values.isposinf().any():
                return None
            if not values.isfinite().all():
                raise CheckpointError(f"{source}: {feature}.{name} is not finite; recompute it")
            lists[key] = tuple(values.tolist())
    if "mean" not in lists and "q01" in lists and "q99" in lists:
        # Only the quantiles are used; mean and deviation are informative.
        pairs = list(zip(lists["q01"], lists["q99"], strict=True))
        lists["mean"] = tuple((a + b) / 2 for a, b in pairs)
        lists["std"] = tuple((b - a) / 2 for a, b in pairs)
    if "mean" not in lists or "std" not in lists:
        return None
    return Statistics(
        mean=lists["mean"], std=lists["std"], q01=lists.get("q01"), q99=lists.get("q99")
    )


def _is_eps(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _mode(modes: Mapping[str, Any], what: str) -> str:
    return str(modes.get(what, "IDENTITY")).rpartition(".")[2].upper()


def _tensors(step: ProcessorStep) -> dict[str, LazyTensor]:
    if step.state_file is None:
        return {}
    if not step.state_file.is_file():
        raise CheckpointError(f"{step.state_file}: missing; copy it beside the weights")
    return read_header(step.state_file)


def _step(path: Path, data: dict[str, Any]) -> ProcessorStep:
    file = data.get("state_file")
    if file is not None and (not isinstance(file, str) or Path(file).name != file):
        raise CheckpointError(f"{path}: state_file is {file!r}: a file of this folder expected")
    if file is not None and not file.endswith(".safetensors"):
        raise CheckpointError(f"{path}: state_file {file} is refused: safetensors only")
    config, artifacts = data.get("config") or {}, data.get("artifacts")
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: config of a step is {config!r}: an object expected")
    return ProcessorStep(
        name=str(data.get("registry_name", "")),
        config=config,
        state_file=path.parent / file if file else None,
        artifacts=artifacts if isinstance(artifacts, dict) else {},
    )
