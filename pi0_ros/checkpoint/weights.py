"""A network made of exactly the tensors of a checkpoint."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import overload

from torch import Tensor

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import listed, not_finite
from pi0_ros.checkpoint.tensors import LazyTensors, all_finite
from pi0_ros.model import Pi0, Pi0Config, Pi0Small, Pi0SmallConfig, init_empty_weights

Network = Pi0 | Pi0Small


def check_tensors(config: Pi0Config | Pi0SmallConfig, tensors: LazyTensors, source: object) -> None:
    """Raises :class:`CheckpointError` listing missing, unexpected, mis-shaped and integer tensors.

    Values are not read.
    """
    expected = _shapes(config)
    problems = [
        *listed("missing", [n for n in expected if n not in tensors]),
        *listed("unexpected", [n for n in tensors if n not in expected]),
        *listed(
            "mis-shaped",
            [
                f"{n} {tensors[n].shape} instead of {shape}"
                for n, shape in expected.items()
                if n in tensors and tensors[n].shape != shape
            ],
        ),
        *listed(
            "not floating point",
            [
                f"{n} {str(tensor.dtype).removeprefix('torch.')}"
                for n, tensor in tensors.items()
                if n in expected and not tensor.dtype.is_floating_point
            ],
        ),
    ]
    if problems:
        raise CheckpointError(
            f"{source}: not the tensors of this architecture: {'; '.join(problems)}. "
            "Use weights and configuration of the same model"
        )


@overload
def assemble(config: Pi0Config, tensors: LazyTensors, source: Path | str) -> Pi0: ...
@overload
def assemble(
    config: Pi0Config | Pi0SmallConfig, tensors: LazyTensors, source: Path | str
) -> Network: ...
def assemble(
    config: Pi0Config | Pi0SmallConfig, tensors: LazyTensors, source: Path | str
) -> Network:
    """A frozen float32 network on the CPU that holds ``tensors`` without copying float32 ones.

    Raises :class:`CheckpointError` as :func:`check_tensors`, and listing tensors that hold NaN
    or infinity; nothing is loaded in part.
    """
    check_tensors(config, tensors, source)
    loaded: dict[str, Tensor] = {}
    broken = []
    # The largest first: while one is converted, it is in memory twice.
    for name in sorted(tensors, key=lambda n: -math.prod(tensors[n].shape)):
        loaded[name] = tensors[name].read().float()
        if not all_finite(loaded[name]):
            broken.append(name)
    if broken:
        raise CheckpointError(not_finite(source, sorted(broken)))
    model = _empty(config)
    model.load_state_dict(loaded, assign=True)
    return model.requires_grad_(False).eval()


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


@cache
def _shapes(config: Pi0Config | Pi0SmallConfig) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in _empty(config).state_dict().items()}


def _empty(config: Pi0Config | Pi0SmallConfig) -> Network:
    with init_empty_weights():
        return Pi0Small(config) if isinstance(config, Pi0SmallConfig) else Pi0(config)
