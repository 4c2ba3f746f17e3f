"""Compares a checkpoint's outputs with those that another implementation recorded.

The recording is a safetensors file. Inputs, batch B, chunk of H steps, D wide:
``image.<slot>`` uint8 (B, 3, size, size), ``image_mask.<slot>`` bool (B,), ``tokens``
int64 and ``token_mask`` bool (B, L), ``state`` (B, D), ``noise`` and ``actions``
(B, H, D), ``time`` (B,). Outputs: ``expected.<name>``, see :func:`_compute`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from pi0_ros.checkpoint.detect import read
from pi0_ros.checkpoint.embodiment_mapping import prefix_order
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import read_header
from pi0_ros.checkpoint.weights import assemble
from pi0_ros.embodiment.types import CAMERA_SLOTS
from pi0_ros.model import Inputs, Pi0

TOLERANCE = 1e-4
_EXPECTED = "expected."
_INPUTS = ("tokens", "token_mask", "state", "noise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Largest absolute ``error`` of one output, and ``counted``, which the tolerance bounds.

    They differ for the loss only, which is a square: an error e of the velocity changes an
    element by 2 e sqrt(loss), and float32 rounding alone changes a loss of 90 by more than
    1e-4. So ``counted`` is the error over 2 sqrt(loss) where that divisor is above one.
    """

    name: str
    error: float
    counted: float
    shape: tuple[int, ...]


def verify(path: Path | str, reference: Path | str) -> tuple[Comparison, ...]:
    """Errors of every recorded output, computed in float32 on the CPU.

    If the checkpoint does not state its horizon, the recording's is used. Raises
    :class:`CheckpointError` for a recording that does not belong to the checkpoint.
    """
    reference = Path(reference)
    if not reference.is_file():
        raise CheckpointError(f"{reference}: no such file; give the recorded inputs and outputs")
    io = {name: tensor.read() for name, tensor in read_header(reference).items()}
    _require(io, _INPUTS, reference)
    if not any(name.startswith(_EXPECTED) for name in io):
        raise CheckpointError(f"{reference}: no {_EXPECTED}… in it; nothing to compare with")
    contents = read(path)
    config = contents.config
    if contents.horizon is None and io["noise"].ndim == 3:
        config = replace(config, action_horizon=io["noise"].shape[1])
    model = assemble(config, contents.tensors, contents.root)
    try:
        return tuple(_compare(model, io, prefix_order(contents.cameras), reference))
    except (ValueError, RuntimeError, IndexError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{reference}: its inputs do not fit the checkpoint ({error}); use the recording made "
            "with these weights"
        ) from error


@torch.no_grad()
def _compare(
    model: Pi0, io: Mapping[str, Tensor], order: tuple[str, ...], reference: Path
) -> list[Comparison]:
    comparisons = []
    for key in sorted(name for name in io if name.startswith(_EXPECTED)):
        name, expected = key.removeprefix(_EXPECTED), io[key].float()
        computed = _compute(model, io, name, order, reference)
        if computed.shape != expected.shape:
            raise CheckpointError(
                f"{reference}: {key} has shape {tuple(expected.shape)} and the checkpoint gives "
                f"{tuple(computed.shape)}; use the recording made with these weights"
            )
        error = (computed - expected).abs()
        counted = error
        if name == "loss_per_dim":
            counted = error / (2 * expected.abs().sqrt()).clamp(min=1)
        comparisons.append(
            Comparison(
                name=name,
                error=_largest(error),
                counted=_largest(counted),
                shape=tuple(expected.shape),
            )
        )
    return comparisons


def _compute(
    model: Pi0, io: Mapping[str, Tensor], name: str, order: tuple[str, ...], reference: Path
) -> Tensor:
    """The output ``name``: an embedding, the loss per element or sampled actions."""
    inputs, slots = _inputs(io, order, reference)
    noise = io["noise"].float()
    tokens = model.config.vision.tokens
    if name == "prefix_embedding":
        return model.embed_prefix(inputs)[0]
    if name.startswith("image_embedding."):
        slot = name.removeprefix("image_embedding.")
        if slot not in slots:
            raise CheckpointError(f"{reference}: image.{slot} is missing, and {name} needs it")
        start = slots.index(slot) * tokens
        return model.embed_prefix(inputs)[0][:, start : start + tokens]
    if name == "suffix_embedding":
        _require(io, ("time",), reference)
        return model.embed_suffix(inputs.state, noise, io["time"].float())[0]
    if name == "loss_per_dim":
        _require(io, ("time", "actions"), reference)
        return model.loss(inputs, io["actions"].float(), noise, io["time"].float())
    steps = re.fullmatch(r"actions\.([1-9]\d*)_steps", name)
    if steps:
        return model.sample(inputs, noise, num_steps=int(steps[1]))
    raise CheckpointError(
        f"{reference}: {_EXPECTED}{name} is no output of this model; known are "
        "image_embedding.<slot>, prefix_embedding, suffix_embedding, loss_per_dim and "
        "actions.<n>_steps"
    )


def _inputs(
    io: Mapping[str, Tensor], order: tuple[str, ...], reference: Path
) -> tuple[Inputs, list[str]]:
    """The recorded inputs, and the slots whose images are stored, in ``order``."""
    stored = [name.removeprefix("image.") for name in io if name.startswith("image.")]
    unknown = sorted(set(stored) - set(CAMERA_SLOTS))
    if unknown or not stored:
        raise CheckpointError(
            f"{reference}: image slots {', '.join(unknown) or 'none'}; use "
            f"{', '.join(CAMERA_SLOTS)}"
        )
    slots = [slot for slot in order if slot in stored]
    _require(io, tuple(f"image_mask.{slot}" for slot in slots), reference)
    inputs = Inputs(
        images=torch.stack([_pixels(io[f"image.{slot}"]) for slot in slots], dim=1),
        image_mask=torch.stack([io[f"image_mask.{slot}"].bool() for slot in slots], dim=1),
        tokens=io["tokens"].long(),
        token_mask=io["token_mask"].bool(),
        state=io["state"].float(),
    )
    return inputs, slots


def _pixels(image: Tensor) -> Tensor:
    """uint8 to [-1, 1]; floats are already in that range."""
    return image.float() / 255 * 2 - 1 if image.dtype == torch.uint8 else image.float()


def _require(io: Mapping[str, Tensor], names: tuple[str, ...], reference: Path) -> None:
    missing = [name for name in names if name not in io]
    if missing:
        raise CheckpointError(f"{reference}: {', '.join(missing)} missing; record the inputs too")


def _largest(error: Tensor) -> float:
    """The largest element; NaN counts as infinite."""
    return float(error.nan_to_num(nan=torch.inf).max()) if error.numel() else 0.0
