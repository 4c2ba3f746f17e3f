"""Tensors in a safetensors file, and a network made of exactly those tensors."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.model import Pi0, Pi0Config

WEIGHTS_FILE = "model.safetensors"
PICKLE_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
_LISTED = 8


def read_tensors(directory: Path) -> dict[str, Tensor]:
    """All tensors of ``directory``'s ``model.safetensors``, memory-mapped.

    Raises :class:`CheckpointError` for a folder that is missing, empty or holds only
    pickled weights, and for a file that is truncated or no safetensors.
    """
    path = find_weights(directory)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: truncated or not a safetensors file ({error}); copy it again"
        ) from error


def find_weights(directory: Path) -> Path:
    """Path of the weights file. Raises :class:`CheckpointError` where there is none to trust."""
    if directory.suffix in PICKLE_SUFFIXES:
        raise _pickle_error(directory)
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such folder; give the checkpoint's folder")
    path = directory / WEIGHTS_FILE
    if path.is_file():
        return path
    pickles = sorted(p for p in directory.iterdir() if p.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise _pickle_error(pickles[0])
    found = ", ".join(sorted(p.name for p in directory.iterdir())[:_LISTED]) or "nothing"
    raise CheckpointError(f"{directory}: no {WEIGHTS_FILE} in it (found {found})")


def assemble(config: Pi0Config, tensors: Mapping[str, Tensor], source: Path | str) -> Pi0:
    """A frozen float32 network on the CPU that holds ``tensors`` without copying float32 ones.

    Raises :class:`CheckpointError` listing tensors that are missing, unexpected,
    mis-shaped or hold NaN or infinity; nothing is loaded in part.
    """
    with torch.device("meta"):
        model = Pi0(config)
    expected = {name: tuple(p.shape) for name, p in model.state_dict().items()}
    problems = [
        *_listed("missing", [n for n in expected if n not in tensors]),
        *_listed("unexpected", [n for n in tensors if n not in expected]),
        *_listed(
            "mis-shaped",
            [
                f"{n} {tuple(tensors[n].shape)} instead of {shape}"
                for n, shape in expected.items()
                if n in tensors and tuple(tensors[n].shape) != shape
            ],
        ),
    ]
    if problems:
        raise CheckpointError(
            f"{source}: not the tensors of this architecture: {'; '.join(problems)}. "
            "Use weights and configuration of the same model"
        )
    broken = [name for name, tensor in tensors.items() if not _all_finite(tensor)]
    if broken:
        raise CheckpointError(
            f"{source}: {'; '.join(_listed('not finite', broken))}; use an earlier checkpoint"
        )
    model.load_state_dict({n: t.float() for n, t in tensors.items()}, assign=True)
    return model.requires_grad_(False).eval()


def write_tensors(directory: Path, model: Pi0) -> None:
    """Writes the weights; the file appears whole or not at all.

    A reader that has the previous file mapped keeps it.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    part = directory / f".{WEIGHTS_FILE}.{os.getpid()}"
    save_file(tensors, part, metadata={"format": "pt"})
    os.replace(part, directory / WEIGHTS_FILE)


def fingerprint(*paths: Path) -> str:
    """First 8 hex digits of the SHA-256 of the files' whole contents, in order.

    Every byte counts, so equal fingerprints mean equal checkpoints; it costs one
    sequential read, roughly a second per gigabyte.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:8]


def _all_finite(tensor: Tensor) -> bool:
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return True
    low, high = torch.aminmax(tensor)  # propagates NaN, allocates nothing
    return bool(low.isfinite() and high.isfinite())


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{what} ({len(names)}): {', '.join(names[:_LISTED])}{more}"]


def _pickle_error(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: pickled weights are refused, because loading them runs code from the file; "
        f"convert them to {WEIGHTS_FILE} where they come from"
    )
