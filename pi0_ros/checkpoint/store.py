"""Our checkpoint folder: ``model.safetensors``, ``manifest.json`` and the tokenizer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import WEIGHTS_FILE, find_weights, read_tensors, written
from pi0_ros.checkpoint.manifest import CheckpointManifest, read_manifest, to_json
from pi0_ros.checkpoint.tensors import LazyTensor, LazyTensors
from pi0_ros.checkpoint.weights import Network, assemble, check_tensors, fingerprint

MANIFEST_FILE = "manifest.json"
CONVERT_HINT = "pi0 checkpoint convert {} --embodiment NAME --out DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCheckpoint:
    """A network ready to sample, and its description.

    ``checkpoint_id`` is ``<name>@<8 hex digits>`` over the bytes of weights, manifest
    and tokenizer: whatever changes an action changes the id.
    """

    model: Network
    manifest: CheckpointManifest
    tokenizer_path: Path
    checkpoint_id: str


def save(
    directory: Path | str, model: Network, manifest: CheckpointManifest, tokenizer: bytes
) -> None:
    """Writes a checkpoint folder, the manifest last: an interrupted write leaves no checkpoint.

    Raises :class:`CheckpointError` when model and manifest differ in configuration.
    """
    directory = Path(directory)
    if manifest.model != model.config:
        raise CheckpointError(
            f"{directory}: the manifest describes {manifest.model} and the model is "
            f"{model.config}; pass the manifest of this model"
        )
    tensors = {name: LazyTensor.of(t) for name, t in model.state_dict().items()}
    write(directory, tensors, manifest, tokenizer)


def write(
    directory: Path, tensors: LazyTensors, manifest: CheckpointManifest, tokenizer: bytes
) -> None:
    """Writes a checkpoint folder tensor by tensor, in the dtypes that ``tensors`` have.

    Raises :class:`CheckpointError` where the tensors are not those of the manifest's model or
    hold NaN or infinity. The previous files stay until the new weights are on disk.
    """
    check_tensors(manifest.model, tensors, directory)
    directory.mkdir(parents=True, exist_ok=True)
    with written(directory / WEIGHTS_FILE, tensors):
        (directory / MANIFEST_FILE).unlink(missing_ok=True)
    _write(directory / manifest.tokenizer, tokenizer)
    _write(directory / MANIFEST_FILE, to_json(manifest).encode())


def load(directory: Path | str, device: str | torch.device = "cpu") -> LoadedCheckpoint:
    """Loads a checkpoint folder: float32 on the CPU, bfloat16 transformers elsewhere.

    On the CPU, float32 weights stay mapped from the file: replace that file (as
    :func:`save` does), never overwrite it in place, or the process dies of SIGBUS.
    Raises :class:`CheckpointError` on anything missing, corrupt, mis-shaped or not
    finite; it never falls back to untrained weights.
    """
    directory = Path(directory)
    manifest = load_manifest(directory)
    tokenizer = directory / manifest.tokenizer
    if not tokenizer.is_file():
        raise CheckpointError(f"{tokenizer}: the tokenizer is missing; copy it into the folder")
    model = assemble(manifest.model, read_tensors(directory), directory)
    if torch.device(device).type != "cpu":
        model = model.to_bfloat16().to(device)
    digest = fingerprint(*find_weights(directory), directory / MANIFEST_FILE, tokenizer)
    return LoadedCheckpoint(
        model=model,
        manifest=manifest,
        tokenizer_path=tokenizer,
        checkpoint_id=f"{manifest.name}@{digest}",
    )


def load_manifest(directory: Path | str) -> CheckpointManifest:
    """The manifest of a checkpoint folder. Raises :class:`CheckpointError`.

    A folder of another project has none: the error says how to convert it.
    """
    directory = Path(directory)
    path = directory / MANIFEST_FILE
    if not path.is_file():
        if not (directory / "params").is_dir():
            find_weights(directory)
        raise CheckpointError(
            f"{directory}: no {MANIFEST_FILE}, so nothing says which robot the weights are for; "
            f"a checkpoint of openpi or LeRobot becomes one of this suite by "
            f"`{CONVERT_HINT.format(directory)}`"
        )
    find_weights(directory)
    return read_manifest(path)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(data)
    os.replace(part, path)
