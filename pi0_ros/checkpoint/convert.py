"""Converts another project's checkpoint to one of this suite, for one robot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pi0_ros.checkpoint import conventions, embodiment_mapping, norm_stats
from pi0_ros.checkpoint.compatibility import check
from pi0_ros.checkpoint.contents import CheckpointContents, Layout, StoredStatistics
from pi0_ros.checkpoint.detect import read
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import INDEX_FILE, WEIGHTS_FILE
from pi0_ros.checkpoint.manifest import CheckpointManifest, RobotTransformKind
from pi0_ros.checkpoint.store import MANIFEST_FILE, write
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.checkpoint.tokenizer_files import TOKENIZER_FILE, find_tokenizer, read_tokenizer
from pi0_ros.embodiment.types import Embodiment

_STORED = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionOptions:
    """Settings that the user adds to a checkpoint's files; None where the files decide.

    ``asset``: id of openpi statistics; ``stats``: path of a norm_stats.json to use in
    their place; ``delta``: whether actions are relative to the state; ``horizon``: steps
    of a chunk; ``same_order``: other dimension names are accepted; ``robot_transform`` and
    ``state_in_prompt``: as in the manifest.
    """

    asset: str | None = None
    stats: Path | None = None
    tokenizer: Path | None = None
    delta: bool | None = None
    horizon: int | None = None
    same_order: bool = False
    robot_transform: RobotTransformKind | None = None
    state_in_prompt: bool | None = None


def convert(
    source: Path | str, embodiment: Embodiment, out: Path | str, options: ConversionOptions
) -> CheckpointManifest:
    """Writes ``source`` to the folder ``out`` for ``embodiment``, dtypes unchanged.

    Raises :class:`CheckpointError` with one line per setting that is missing or does not fit,
    each with its fix. In that case nothing is written.
    """
    contents, out = read(source, options.asset), Path(out)
    if contents.layout is Layout.OURS:
        raise CheckpointError(f"{contents.root}: is a checkpoint of this suite; use it as it is")
    for name in (MANIFEST_FILE, WEIGHTS_FILE, INDEX_FILE):
        if (out / name).exists():
            raise CheckpointError(f"{out}: holds {name} already; choose another folder for --out")
    _refuse(contents, missing_settings(contents, options))
    # First of all, because the manifest is built for a checkpoint of this robot.
    _refuse(
        contents,
        [
            *embodiment_mapping.name_problems(contents, embodiment, same_order=options.same_order),
            *embodiment_mapping.camera_problems(contents, embodiment),
        ],
    )
    manifest = _manifest(contents, embodiment, options)
    _refuse(contents, check(manifest, embodiment))
    tokenizer = read_tokenizer(_tokenizer(contents, options), manifest.model.vocab)
    tensors = {name: _storable(tensor) for name, tensor in contents.tensors.items()}
    write(out, tensors, manifest, tokenizer)
    return manifest


def missing_settings(contents: CheckpointContents, options: ConversionOptions) -> tuple[str, ...]:
    """Settings that neither the files nor ``options`` give, a sentence each with its fix."""
    lines = []
    if contents.statistics is None and options.stats is None:
        lines.append(f"no normalisation: {contents.no_statistics_because}")
    if contents.horizon is None and options.horizon is None:
        lines.append("nothing says how many steps a chunk has: give --horizon N")
    if contents.relative_actions is None and options.delta is None:
        lines.append(
            "nothing says whether actions are relative to the state: give --delta (all joints "
            "but grippers are, as openpi trains ALOHA, UR5e and DROID joint positions) or "
            "--no-delta"
        )
    try:
        _tokenizer(contents, options)
    except CheckpointError as error:
        lines.append(str(error).removeprefix(f"{contents.root}: "))
    return tuple(lines)


def _refuse(contents: CheckpointContents, problems: Sequence[str]) -> None:
    if problems:
        raise CheckpointError("\n".join(f"{contents.root}: {line}" for line in problems))


def _manifest(
    contents: CheckpointContents, embodiment: Embodiment, options: ConversionOptions
) -> CheckpointManifest:
    horizon = options.horizon or contents.horizon
    if contents.horizon is not None and horizon != contents.horizon:
        raise CheckpointError(
            f"{contents.root}: --horizon is {horizon} and the configuration says "
            f"{contents.horizon}: leave --horizon out"
        )
    config = (
        contents.config if horizon is None else replace(contents.config, action_horizon=horizon)
    )
    statistics = _statistics(contents, options)
    transform, why = conventions.robot_transform(
        contents, statistics, embodiment, options.robot_transform
    )
    in_prompt = conventions.state_in_prompt(contents, options.state_in_prompt)
    try:
        return CheckpointManifest(
            name=_name(contents, embodiment),
            trained=True,
            embodiment=embodiment.name,
            model=config,
            state_names=embodiment.state_names,
            action_names=embodiment.action_names,
            cameras=embodiment_mapping.used_cameras(contents, embodiment),
            step_duration_s=embodiment.rates.step_duration_s,
            delta_mask=embodiment_mapping.delta_mask(contents, embodiment, options.delta),
            normalisation=embodiment_mapping.normalisation(
                statistics, embodiment, config.action_dim
            ),
            tokenizer=TOKENIZER_FILE,
            robot_transform=transform,
            state_in_prompt=in_prompt,
            notes={
                "source": f"{contents.layout.value}, {contents.root.name}",
                "statistics": Path(statistics.source).name,
                "robot_transform": why,
                **contents.notes,
            },
        )
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{contents.root}: {error}") from error


def _statistics(contents: CheckpointContents, options: ConversionOptions) -> StoredStatistics:
    if options.stats is not None:
        return norm_stats.read(options.stats, pi05=contents.config.pi05)
    if contents.statistics is None:
        raise CheckpointError(
            f"{contents.root}: no normalisation: {contents.no_statistics_because}"
        )
    return contents.statistics


def _tokenizer(contents: CheckpointContents, options: ConversionOptions) -> Path:
    if options.tokenizer is None and contents.tokenizer is not None:
        return contents.tokenizer
    return find_tokenizer(contents.root, options.tokenizer)


def _name(contents: CheckpointContents, embodiment: Embodiment) -> str:
    stem = re.sub(r"[^\w.+-]+", "-", contents.root.resolve().name).strip(".+-") or "checkpoint"
    return stem if embodiment.name in stem else f"{stem}-{embodiment.name}"


def _storable(tensor: LazyTensor) -> LazyTensor:
    if tensor.dtype in _STORED:
        return tensor
    return LazyTensor(shape=tensor.shape, dtype=torch.float32, read=lambda: tensor.read().float())
