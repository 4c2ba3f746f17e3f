"""Converts another project's checkpoint to one of this suite, for one robot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pi0_ros.checkpoint import conventions, fitting, norm_stats
from pi0_ros.checkpoint.compatibility import check
from pi0_ros.checkpoint.detect import read
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import INDEX_FILE, WEIGHTS_FILE
from pi0_ros.checkpoint.found import Found, FoundStatistics, Layout
from pi0_ros.checkpoint.manifest import Manifest, RobotTransformKind
from pi0_ros.checkpoint.store import MANIFEST_FILE, write
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.checkpoint.tokenizer_files import TOKENIZER_FILE, find_tokenizer, read_tokenizer
from pi0_ros.embodiment.types import Embodiment

_STORED = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplement:
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
    source: Path | str, embodiment: Embodiment, out: Path | str, supplement: Supplement
) -> Manifest:
    """Writes ``source`` to the folder ``out`` for ``embodiment``, dtypes unchanged.

    Raises :class:`CheckpointError` with one line per setting that is missing or does not fit,
    each with its fix. In that case nothing is written.
    """
    found, out = read(source, supplement.asset), Path(out)
    if found.layout is Layout.OURS:
        raise CheckpointError(f"{found.root}: is a checkpoint of this suite; use it as it is")
    for name in (MANIFEST_FILE, WEIGHTS_FILE, INDEX_FILE):
        if (out / name).exists():
            raise CheckpointError(f"{out}: holds {name} already; choose another folder for --out")
    _refuse(found, gaps(found, supplement))
    # First of all, because the manifest is built for a checkpoint of this robot.
    _refuse(
        found,
        [
            *fitting.name_problems(found, embodiment, same_order=supplement.same_order),
            *fitting.camera_problems(found, embodiment),
        ],
    )
    manifest = _manifest(found, embodiment, supplement)
    _refuse(found, check(manifest, embodiment))
    tokenizer = read_tokenizer(_tokenizer(found, supplement), manifest.model.vocab)
    tensors = {name: _storable(tensor) for name, tensor in found.tensors.items()}
    write(out, tensors, manifest, tokenizer)
    return manifest


def gaps(found: Found, supplement: Supplement) -> tuple[str, ...]:
    """Settings that neither the files nor ``supplement`` give, a sentence each with its fix."""
    lines = []
    if found.statistics is None and supplement.stats is None:
        lines.append(f"no normalisation: {found.no_statistics_because}")
    if found.horizon is None and supplement.horizon is None:
        lines.append("nothing says how many steps a chunk has: give --horizon N")
    if found.relative_actions is None and supplement.delta is None:
        lines.append(
            "nothing says whether actions are relative to the state: give --delta (all joints "
            "but grippers are, as openpi trains ALOHA, UR5e and DROID joint positions) or "
            "--no-delta"
        )
    try:
        _tokenizer(found, supplement)
    except CheckpointError as error:
        lines.append(str(error).removeprefix(f"{found.root}: "))
    return tuple(lines)


def _refuse(found: Found, problems: Sequence[str]) -> None:
    if problems:
        raise CheckpointError("\n".join(f"{found.root}: {line}" for line in problems))


def _manifest(found: Found, embodiment: Embodiment, supplement: Supplement) -> Manifest:
    horizon = supplement.horizon or found.horizon
    if found.horizon is not None and horizon != found.horizon:
        raise CheckpointError(
            f"{found.root}: --horizon is {horizon} and the configuration says {found.horizon}: "
            "leave --horizon out"
        )
    config = found.config if horizon is None else replace(found.config, action_horizon=horizon)
    statistics = _statistics(found, supplement)
    transform, why = conventions.robot_transform(
        found, statistics, embodiment, supplement.robot_transform
    )
    in_prompt = conventions.state_in_prompt(found, supplement.state_in_prompt)
    try:
        return Manifest(
            name=_name(found, embodiment),
            trained=True,
            embodiment=embodiment.name,
            model=config,
            state_names=embodiment.state_names,
            action_names=embodiment.action_names,
            cameras=fitting.used_cameras(found, embodiment),
            step_duration_s=embodiment.rates.step_duration_s,
            delta_mask=fitting.delta_mask(found, embodiment, supplement.delta),
            normalisation=fitting.normalisation(statistics, embodiment, config.action_dim),
            tokenizer=TOKENIZER_FILE,
            robot_transform=transform,
            state_in_prompt=in_prompt,
            notes={
                "source": f"{found.layout.value}, {found.root.name}",
                "statistics": Path(statistics.source).name,
                "robot_transform": why,
                **found.notes,
            },
        )
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{found.root}: {error}") from error


def _statistics(found: Found, supplement: Supplement) -> FoundStatistics:
    if supplement.stats is not None:
        return norm_stats.read(supplement.stats, pi05=found.config.pi05)
    if found.statistics is None:
        raise CheckpointError(f"{found.root}: no normalisation: {found.no_statistics_because}")
    return found.statistics


def _tokenizer(found: Found, supplement: Supplement) -> Path:
    if supplement.tokenizer is None and found.tokenizer is not None:
        return found.tokenizer
    return find_tokenizer(found.root, supplement.tokenizer)


def _name(found: Found, embodiment: Embodiment) -> str:
    stem = re.sub(r"[^\w.+-]+", "-", found.root.resolve().name).strip(".+-") or "checkpoint"
    return stem if embodiment.name in stem else f"{stem}-{embodiment.name}"


def _storable(tensor: LazyTensor) -> LazyTensor:
    if tensor.dtype in _STORED:
        return tensor
    return LazyTensor(shape=tensor.shape, dtype=torch.float32, read=lambda: tensor.read().float())
