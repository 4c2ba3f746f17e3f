"""Weights of openpi's PyTorch checkpoints, as ``model.safetensors`` and ``config.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.weights import assemble, read_tensors
from pi0_ros.model import GemmaConfig, Pi0, Pi0Config, VisionConfig

_PALIGEMMA = "paligemma_with_expert.paligemma."
_VISION = _PALIGEMMA + "model.vision_tower.vision_model."
_LANGUAGE = _PALIGEMMA + "model.language_model."
_EXPERT = "paligemma_with_expert.gemma_expert."

#: Their prefix and ours; the first that fits counts.
RENAMED = (
    (_VISION + "embeddings.", "vision."),
    (_VISION + "encoder.", "vision."),
    (_VISION, "vision."),
    (_PALIGEMMA + "model.multi_modal_projector.linear.", "vision.projector."),
    (_LANGUAGE + "embed_tokens.", "embed_tokens."),
    (_LANGUAGE, "backbone."),
    (_EXPERT + "model.", "expert."),
)
#: The token table, when the file keeps it only under its tied name.
TIED_TABLE = _PALIGEMMA + "lm_head.weight"
#: Never used by the policy.
UNUSED = _EXPERT + "lm_head.weight"


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """openpi's tensors under our names; keys may carry a leading ``model.``."""
    theirs = {key.removeprefix("model."): tensor for key, tensor in tensors.items()}
    tied = theirs.pop(TIED_TABLE, None)
    theirs.pop(UNUSED, None)
    ours = {_renamed(key): tensor for key, tensor in theirs.items()}
    if tied is not None:
        ours.setdefault("embed_tokens.weight", tied)
    return ours


def read_config(path: Path) -> Pi0Config:
    """Dimensions from a ``config.json`` with sections vision, vlm and action_expert.

    Raises :class:`CheckpointError` naming the missing key or the wrong value.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        vision = data["vision"]
        return Pi0Config(
            vision=VisionConfig(
                width=vision["width"],
                depth=vision["depth"],
                mlp=vision["mlp_dim"],
                heads=vision["num_heads"],
                patch=vision["patch_size"],
                image_size=vision["image_size"],
            ),
            backbone=_gemma(data["vlm"]),
            expert=_gemma(data["action_expert"]),
            vocab=data["vocab_size"],
            action_dim=data["action_dim"],
            action_horizon=data["action_horizon"],
            max_tokens=data["max_token_len"],
            pi05=data["pi05"],
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: {error.args[0]!r} is missing; add it") from error
    except (OSError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a model configuration ({error})") from error


def load_openpi(directory: Path | str) -> Pi0:
    """The network of an openpi folder, float32 on the CPU. Raises :class:`CheckpointError`."""
    directory = Path(directory)
    tensors = rename(read_tensors(directory))
    return assemble(read_config(directory / "config.json"), tensors, directory)


def _gemma(section: dict[str, Any]) -> GemmaConfig:
    return GemmaConfig(
        width=section["width"],
        depth=section["depth"],
        mlp=section["mlp_dim"],
        heads=section["num_heads"],
        kv_heads=section["num_kv_heads"],
        head_dim=section["head_dim"],
    )


def _renamed(key: str) -> str:
    for theirs, ours in RENAMED:
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key
