"""Detects the layout of a checkpoint from its files and reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pi0_ros.checkpoint import processors
from pi0_ros.checkpoint.contents import CheckpointContents, Layout
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import (
    INDEX_FILE,
    PICKLE_SUFFIXES,
    WEIGHTS_FILE,
    find_weights,
    listed,
    pickle_error,
    read_tensors,
)
from pi0_ros.checkpoint.jsonfile import read_object
from pi0_ros.checkpoint.lerobot import read_lerobot
from pi0_ros.checkpoint.manifest import read_manifest
from pi0_ros.checkpoint.names import is_foreign, is_legacy
from pi0_ros.checkpoint.openpi import CONFIG_FILE, read_openpi
from pi0_ros.checkpoint.orbax import PARAMS, is_orbax, read_jax
from pi0_ros.checkpoint.store import MANIFEST_FILE
from pi0_ros.checkpoint.weights import check_tensors
from pi0_ros.model import Pi0Config

#: Where LeRobot's training keeps the policy inside a step's folder.
_PRETRAINED = "pretrained_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """A layout and the folder that holds its files."""

    layout: Layout
    root: Path


def detect(path: Path | str) -> Detected:
    """The layout of a checkpoint folder, or of the folder around a file or ``params`` given.

    Raises :class:`CheckpointError` for what is missing, empty, pickled or another
    architecture.
    """
    root = _root(Path(path))
    if (root / MANIFEST_FILE).is_file():
        return Detected(layout=Layout.OURS, root=root)
    has_weights = (root / WEIGHTS_FILE).is_file() or (root / INDEX_FILE).is_file()
    if not has_weights and is_orbax(root / PARAMS):
        return Detected(layout=Layout.JAX, root=root)
    find_weights(root)
    keys = list(read_tensors(root))
    config = root / CONFIG_FILE
    data = read_object(config, "a model configuration") if config.is_file() else {}
    if not is_foreign(keys):
        if "type" in data and data["type"] not in ("pi0", "pi05"):
            raise CheckpointError(
                f"{root}: policy type {data['type']!r} is another architecture; this suite runs "
                "pi0 and pi05"
            )
        raise CheckpointError(
            f"{root}: not a π0 or π0.5 of any known layout; "
            f"{listed('tensors', sorted(keys))[0] if keys else 'it has no tensors'}"
        )
    if is_legacy(keys):
        return Detected(layout=Layout.LEROBOT_LEGACY, root=root)
    lerobot = "type" in data or (root / processors.PREPROCESSOR).is_file()
    return Detected(layout=Layout.LEROBOT if lerobot else Layout.OPENPI, root=root)


def read(path: Path | str, asset: str | None = None) -> CheckpointContents:
    """The contents of a checkpoint of any layout; tensor values are not read.

    Raises :class:`CheckpointError`, also where tensors are missing, unexpected or mis-shaped.
    """
    contents = _read(detect(path), asset)
    check_tensors(contents.config, contents.tensors, contents.root)
    return contents


def _read(detected: Detected, asset: str | None) -> CheckpointContents:
    root = detected.root
    if detected.layout is Layout.OURS:
        return _read_ours(root)
    if detected.layout is Layout.JAX:
        return read_jax(root, asset)
    if detected.layout is Layout.OPENPI:
        return read_openpi(root, asset)
    return read_lerobot(root)


def _read_ours(root: Path) -> CheckpointContents:
    manifest = read_manifest(root / MANIFEST_FILE)
    if not isinstance(manifest.model, Pi0Config):
        raise CheckpointError(
            f"{root}: a π0-small of this suite: there is nothing to convert, and no other "
            "implementation to compare it with; use it as it is"
        )
    tensors = read_tensors(root)
    tokenizer = root / manifest.tokenizer
    return CheckpointContents(
        layout=Layout.OURS,
        root=root,
        config=manifest.model,
        tensors=tensors,
        stored=len(tensors),
        horizon=manifest.horizon,
        action_names=manifest.action_names,
        cameras=manifest.cameras,
        tokenizer=tokenizer if tokenizer.is_file() else None,
        manifest=manifest,
    )


def _root(path: Path) -> Path:
    if path.is_file():
        if path.suffix in PICKLE_SUFFIXES:
            raise pickle_error(path)
        if path.name not in (WEIGHTS_FILE, INDEX_FILE, MANIFEST_FILE, CONFIG_FILE):
            raise CheckpointError(f"{path}: give the checkpoint's folder")
        return path.parent
    if path.name == PARAMS and is_orbax(path):
        return path.parent
    if (path / _PRETRAINED).is_dir():
        return path / _PRETRAINED
    return path
